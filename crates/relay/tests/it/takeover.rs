//! Several publishers: one leads, the others go on where it ends, however it ends.

use std::sync::mpsc;

use eventstore::{EventStore, Wakeup};
use relay::RelayStatus;
use sqlx::postgres::PgPoolOptions;
use testkit::eventually;
use tokio_util::sync::CancellationToken;

use crate::world::{LIMIT, World};

#[tokio::test]
async fn every_message_is_published_once_in_order() {
    let world = World::new().await;
    world.append(1_400).await; // more than one page is waiting
    let mut publisher = world.publisher();
    world.complete().await;
    world.append(20).await; // and then some while it runs
    world.complete().await;
    let state = publisher.publishes().await;
    assert_eq!(state.published_messages, 710);
    assert_eq!(relay::oldest_unpublished(&world.store, &world.namespace).await.unwrap(), None);
    publisher.stop().await;

    world.append(1).await;
    let waiting = relay::oldest_unpublished(&world.store, &world.namespace).await.unwrap();
    assert_eq!(waiting.unwrap().0.get(), 1_421);
}

#[tokio::test]
async fn another_publisher_goes_on_when_the_leader_stops() {
    let world = World::new().await;
    let mut first = world.publisher();
    first.publishes().await;
    let mut second = world.publisher();
    world.append(100).await;
    world.complete().await;
    assert_eq!(second.state.borrow().status, RelayStatus::Standby);
    first.stop().await;
    world.append(100).await;
    world.complete().await;
    let state = second.publishes().await;
    assert_eq!((state.published_messages, state.epoch), (50, Some(2)));
    second.stop().await;
}

#[tokio::test]
async fn publishers_that_die_anywhere_leave_no_gap_and_no_repetition() {
    let world = World::new().await;
    for round in 0..12_u64 {
        world.append(300).await;
        let mut publisher = world.publisher();
        if round % 3 == 0 {
            // Dies with a page on its way; otherwise soon after one.
            publisher.reaches("a leader", |state| state.resumed > 0).await;
        } else {
            publisher.reaches("a page", |state| state.published_messages > 0).await;
        }
        publisher.abort().await;
        world.expire_lease().await;
    }
    let publisher = world.publisher();
    world.complete().await;
    publisher.stop().await;
}

#[tokio::test]
async fn a_crash_between_publishing_and_moving_the_cursor_repeats_nothing() {
    let world = World::new().await;
    world.append(40).await;
    let publisher = world.publisher();
    world.complete().await;
    publisher.stop().await;
    world.set_cursor(5).await;
    let mut publisher = world.publisher();
    world.complete().await;
    let state = publisher.publishes().await;
    assert_eq!((state.published_messages, state.position.get()), (0, 39));
    publisher.stop().await;
}

/// The publisher lives on a thread of its own that is held up as a whole: its heartbeat, its
/// connection, everything.
#[tokio::test]
async fn a_frozen_leader_that_wakes_up_late_changes_nothing() {
    let world = World::new().await;
    let (freeze, requests) = mpsc::channel::<mpsc::Receiver<()>>();
    let (started, starts) = tokio::sync::oneshot::channel();
    let stop = CancellationToken::new();
    let (stopped, url) = (stop.clone(), world.database.url().to_owned());
    let config = relay::PublisherConfig::new(world.url.parse().unwrap(), world.namespace.clone());
    let frozen = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let pool = PgPoolOptions::new().max_connections(4).connect(&url).await.unwrap();
            let store = EventStore::open(pool.clone()).await.unwrap();
            let publisher =
                relay::Publisher::new(store, Wakeup::listen(pool), config, crate::world::render);
            started.send(publisher.state()).unwrap();
            let freezing = async move {
                loop {
                    if let Ok(until) = requests.try_recv() {
                        let _ = until.recv(); // blocks the thread, on purpose
                        return;
                    }
                    tokio::task::yield_now().await;
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            };
            tokio::join!(publisher.run(stopped), freezing);
        });
    });
    let state = starts.await.unwrap();
    eventually(LIMIT, "the first to lead", || async {
        let now = state.borrow().clone();
        if now.status == RelayStatus::Publishing { Ok(()) } else { Err(now) }
    })
    .await;

    let (thaw, until) = mpsc::channel();
    freeze.send(until).unwrap();
    let mut second = world.publisher();
    world.append(60).await;
    second.reaches("the second to lead", |state| state.epoch == Some(2)).await;
    world.complete().await;
    assert_eq!(state.borrow().epoch, Some(1), "the first does not know yet");

    // It wakes up to find messages that it never saw, and publishes them: refused, all of them.
    thaw.send(()).unwrap();
    world.append(60).await;
    eventually(LIMIT, "the first to stand by", || async {
        let now = state.borrow().clone();
        if now.epoch.is_none() { Ok(()) } else { Err(now) }
    })
    .await;
    world.append(60).await;
    world.complete().await;
    assert_eq!(state.borrow().published_messages, 0);
    stop.cancel();
    frozen.join().unwrap();
    second.stop().await;
}
