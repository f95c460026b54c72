//! A stream that three servers keep: its leader dies, is deposed, or loses the majority.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream;
use relay::{RelayState, RelayStatus};
use testkit::{NatsCluster, eventually};

use crate::world::{LIMIT, Running, World};

fn start() -> NatsCluster {
    NatsCluster::start_ephemeral().unwrap()
}

impl World {
    /// The number of the server that leads the stream.
    async fn leader(&self, cluster: &NatsCluster) -> usize {
        eventually(LIMIT, "the stream to have a leader", async || {
            let ask = async {
                let servers: Vec<&str> = self.url.split(',').collect();
                let client = async_nats::connect(servers).await.ok()?;
                let stream =
                    jetstream::new(client).get_stream(self.namespace.stream_name()).await.ok()?;
                let leader = stream.cached_info().cluster.as_ref()?.leader.clone()?;
                cluster.number(&leader)
            };
            ask.await.ok_or("nobody leads")
        })
        .await
    }

    /// Waits until every server keeps all of the stream.
    async fn all_keep_it(&self) {
        eventually(LIMIT, "all servers to keep the stream", async || {
            let stream = self.stream().await;
            let cluster = stream.cached_info().cluster.clone().ok_or("no cluster")?;
            let replicas = &cluster.replicas;
            let all = replicas.len() == 2 && replicas.iter().all(|peer| peer.current);
            if all { Ok(()) } else { Err("some lag behind") }
        })
        .await;
    }
}

/// Appends one event after the other meanwhile.
fn appending(world: &Arc<World>, events: usize) -> tokio::task::JoinHandle<()> {
    let world = Arc::clone(world);
    tokio::spawn(async move { world.append_each(events).await })
}

async fn some_more(publisher: &mut Running<RelayState>) {
    let seen = publisher.state.borrow().published_messages;
    publisher.reaches("some messages", |state| state.published_messages > seen + 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_goes_on_when_the_leader_of_the_stream_dies_and_returns() {
    let mut cluster = tokio::task::block_in_place(start);
    let world = Arc::new(World::on_cluster(&cluster).await);
    let mut publisher = world.publisher();
    publisher.publishes().await;
    for _ in 0..2 {
        let appending = appending(&world, 400);
        some_more(&mut publisher).await;
        let leader = world.leader(&cluster).await;
        cluster.node(leader).kill9();
        appending.await.unwrap();
        world.complete().await; // while one server is missing
        tokio::task::block_in_place(|| cluster.node(leader).restart().unwrap());
        world.all_keep_it().await;
    }
    world.append(50).await;
    world.complete().await;
    publisher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn publishing_goes_on_when_the_leader_is_deposed() {
    let cluster = tokio::task::block_in_place(start);
    let world = Arc::new(World::on_cluster(&cluster).await);
    let mut publisher = world.publisher();
    publisher.publishes().await;
    for _ in 0..3 {
        let appending = appending(&world, 300);
        some_more(&mut publisher).await;
        let before = world.leader(&cluster).await;
        let context = world.context().await;
        let subject = format!("STREAM.LEADER.STEPDOWN.{}", world.namespace.stream_name());
        let _: serde_json::Value = context.request(subject, &()).await.unwrap();
        eventually(LIMIT, "another leader", async || {
            let now = world.leader(&cluster).await;
            if now == before { Err(now) } else { Ok(()) }
        })
        .await;
        appending.await.unwrap();
        world.complete().await;
    }
    publisher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_commands_go_on_and_everything_follows_in_order() {
    let mut cluster = tokio::task::block_in_place(start);
    let world = Arc::new(World::on_cluster(&cluster).await);
    let mut publisher = world.publisher();
    world.append(100).await;
    world.complete().await;
    world.all_keep_it().await;
    let leader = world.leader(&cluster).await;
    let others = [(leader + 1) % 3, (leader + 2) % 3];
    // One is gone and one does not answer: neither can vote.
    cluster.node(others[0]).kill9();
    cluster.node(others[1]).pause();
    tokio::time::timeout(Duration::from_secs(20), world.append_each(300))
        .await
        .expect("commands do not wait for the broker");
    let interrupted = |state: &RelayState| matches!(state.status, RelayStatus::Connecting { .. });
    let state = publisher.reaches("the relay to notice", interrupted).await;
    assert_eq!(state.published_messages, 50, "nothing is taken for stored");
    cluster.node(others[1]).resume();
    world.complete().await; // two of three are enough
    tokio::task::block_in_place(|| cluster.node(others[0]).restart().unwrap());
    world.all_keep_it().await;
    world.append(50).await;
    world.complete().await;
    publisher.stop().await;
}
