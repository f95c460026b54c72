//! An aggregate with a long history is not read from its beginning.

use std::sync::Arc;
use std::time::Duration;

use adapters::{SystemClock, TimeOrderedIds};
use application::CommandBus;
use domain::inventory::RESERVE_PLACED_ORDERS;
use testkit::eventually;

use crate::support::{Told, World};

#[tokio::test]
async fn the_stock_that_many_ordered_is_known_from_a_snapshot() {
    let mut world = World::new().await;
    let mug = world.list("Mug-1", 1_000).await;
    for _ in 0..110 {
        world.place(mug, 1).await;
        world.last_message().await.react_and_commit(&world, &RESERVE_PLACED_ORDERS).await.unwrap();
    }
    let pool = world.pool();
    let stock = domain::inventory::stock(mug).to_string();
    let version = "SELECT version FROM eventstore.snapshots WHERE stream = $1";
    eventually(Duration::from_secs(10), "a snapshot of the stock", async || {
        let version = sqlx::query_scalar(version).bind(&stock).fetch_optional(&pool).await.unwrap();
        version.filter(|version: &i64| *version >= 100).ok_or("none")
    })
    .await;

    // It is used: a stock that no event explains is believed.
    let forge = "UPDATE eventstore.snapshots SET state = $2::text::json WHERE stream = $1";
    let state = r#"{"aggregate":"stock","state":{"available":2}}"#;
    sqlx::query(forge).bind(&stock).bind(state).execute(&pool).await.unwrap();
    world.bus =
        CommandBus::new(world.store.clone(), Arc::new(SystemClock), Arc::new(TimeOrderedIds));
    let (order, _) = world.place(mug, 500).await;
    let placed: Told = world.last_message().await;
    placed.react_and_commit(&world, &RESERVE_PLACED_ORDERS).await.unwrap();
    let last = world.log().await.pop().unwrap();
    assert_eq!(last.event_type.to_string(), "inventory.reservation-refused.v1", "of {order}");
}
