//! What is published leaves the outbox, and can be published again all the same.

use eventstore::Position;
use testkit::eventually;

use crate::world::{LIMIT, World};

/// Waits until the outbox is silent up to `floor`.
async fn retired(world: &World, floor: i64) {
    eventually(LIMIT, "the outbox to be retired", || async {
        let found = world.store.outbox_floor().await.map_err(|error| error.to_string())?;
        if found == Position::new(floor) { Ok(()) } else { Err(format!("up to {found}")) }
    })
    .await;
}

/// Bytes of the outbox, and its partitions.
async fn size(world: &World) -> (i64, i64) {
    let size = "SELECT sum(pg_total_relation_size(inhrelid))::bigint, count(*) FROM pg_inherits
                WHERE inhparent IN ('eventstore.outbox'::regclass, 'eventstore.messages'::regclass)";
    sqlx::query_as(size).fetch_one(&world.pool()).await.unwrap()
}

#[tokio::test]
async fn a_stream_that_is_deleted_is_made_again_from_what_the_outbox_forgot() {
    let world = World::with_small_outbox().await;
    world.append(13_000).await;
    let mut publisher = world.publisher();
    world.complete().await;
    retired(&world, 2_000).await;
    let left = world.store.read_outbox(Position::START, 1).await.unwrap();
    assert_eq!(left[0].event.position.get(), 2_001);

    // Half of what is below the floor is nothing that the public is told of.
    world.context().await.delete_stream(world.namespace.stream_name()).await.unwrap();
    world.complete().await;
    publisher.publishes().await;
    // And with another publisher that dies on the way.
    publisher.stop().await;
    world.context().await.delete_stream(world.namespace.stream_name()).await.unwrap();
    let mut publisher = world.publisher();
    publisher.reaches("some messages", |state| state.published_messages > 0).await;
    publisher.abort().await;
    world.expire_lease().await;
    let publisher = world.publisher();
    world.complete().await;
    publisher.stop().await;
}

#[tokio::test]
async fn an_old_snapshot_of_somebody_else_stops_nothing_and_the_outbox_stays_small() {
    let world = World::with_small_outbox().await;
    let begin = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ";
    let mut foreign = world.pool().begin_with(begin).await.unwrap();
    sqlx::query("SELECT count(*) FROM eventstore.events").execute(&mut *foreign).await.unwrap();

    let publisher = world.publisher();
    world.append(13_000).await;
    world.complete().await;
    retired(&world, 2_000).await;
    let before = size(&world).await;
    for round in 1..=2 {
        world.append(2_000).await;
        world.complete().await;
        retired(&world, 2_000 + 2_000 * round).await;
        assert_eq!(size(&world).await, before, "the outbox has not grown");
    }
    foreign.rollback().await.unwrap();
    publisher.stop().await;
}
