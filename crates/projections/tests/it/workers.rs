//! Several workers for one projection: one works, and what it was at is done once.

use eventstore::Cursor;
use projections::orders::{self, ORDERS};
use projections::worker::Status;

use crate::history::History;
use crate::support::World;

async fn one_order(world: &World) -> History {
    let mut history = History::default();
    history.list(world, 100).await;
    history.place(world, &[(0, 1)]).await;
    history
}

async fn listed(world: &World) -> usize {
    orders::list(&world.pool(), None, 1_000).await.unwrap().orders.len()
}

/// Holds up every batch until it is dropped.
async fn hold_up(world: &World) -> sqlx::Transaction<'static, sqlx::Postgres> {
    let mut holding = world.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE orders_v1.orders IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *holding)
        .await
        .unwrap();
    holding
}

#[tokio::test]
async fn one_follows_and_the_other_takes_over_when_it_stops() {
    let world = World::new().await;
    let mut history = one_order(&world).await;
    let first = world.follow(&ORDERS);
    first.follows().await;
    let second = world.follow(&ORDERS);
    world.catches_up(&ORDERS).await;
    assert_eq!(second.status(), Status::Standby);
    assert_eq!(first.status(), Status::Following);

    first.stop().await;
    second.follows().await;
    history.place(&world, &[(0, 1)]).await;
    world.catches_up(&ORDERS).await;
    assert_eq!(listed(&world).await, 2);
    second.stop().await;
}

#[tokio::test]
async fn who_stops_gives_the_lease_up_at_once() {
    let world = World::new().await;
    one_order(&world).await;
    let worker = world.follow(&ORDERS);
    world.catches_up(&ORDERS).await;
    let name = ORDERS.cursor_name();
    assert!(Cursor::lease(&world.pool(), &name).await.unwrap().is_none(), "it is leased");
    worker.stop().await;
    let lease = Cursor::lease(&world.pool(), &name).await.unwrap();
    assert_eq!(lease.unwrap().position(), world.store.head().await.unwrap());
}

#[tokio::test]
async fn who_dies_in_a_batch_is_replaced_when_its_lease_ends() {
    let world = World::new().await;
    let mut history = one_order(&world).await;
    let first = world.follow(&ORDERS);
    world.catches_up(&ORDERS).await;
    let holding = hold_up(&world).await;
    history.place(&world, &[(0, 1)]).await;
    world.wait_for_locks(1).await;
    first.abort().await;
    holding.rollback().await.unwrap();

    let second = world.follow(&ORDERS);
    assert_eq!(second.status(), Status::Standby);
    second.follows().await;
    world.catches_up(&ORDERS).await;
    assert_eq!(listed(&world).await, 2);
    history.place(&world, &[(0, 1)]).await;
    world.catches_up(&ORDERS).await;
    assert_eq!(listed(&world).await, 3);
    second.stop().await;
}

#[tokio::test]
async fn a_batch_that_outlives_its_lease_takes_effect_once() {
    let world = World::new().await;
    let mut history = one_order(&world).await;
    let first = world.follow(&ORDERS);
    world.catches_up(&ORDERS).await;
    let second = world.follow(&ORDERS);
    let holding = hold_up(&world).await;
    history.place(&world, &[(0, 1)]).await;
    // The lease has ended when the second one reaches for it, and waits for the first one's commit.
    world.wait_for_locks(2).await;
    holding.rollback().await.unwrap();
    world.catches_up(&ORDERS).await;
    history.place(&world, &[(0, 1)]).await;
    world.catches_up(&ORDERS).await;
    assert_eq!(listed(&world).await, 3);
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn whose_epoch_is_over_stands_by_and_works_again_later() {
    let world = World::new().await;
    let mut history = one_order(&world).await;
    let worker = world.follow(&ORDERS);
    world.catches_up(&ORDERS).await;
    sqlx::query("UPDATE eventstore.cursors SET epoch = epoch + 1, expires_at = clock_timestamp()")
        .execute(&world.pool())
        .await
        .unwrap();
    history.place(&world, &[(0, 1)]).await;
    world.catches_up(&ORDERS).await;
    assert_eq!(listed(&world).await, 2);
    worker.follows().await;
    worker.stop().await;
}
