//! The continuous count: what was skipped, or taken twice, is found out.

use projections::digests;
use projections::orders::ORDERS;
use sqlx::AssertSqlSafe;

use crate::history::History;
use crate::support::World;

/// Forges the count of a slot, as if the engine had gone wrong.
async fn is_found_out(forged: &str) {
    let world = World::new().await;
    let mut history = History::default();
    history.list(&world, 100).await;
    for _ in 0..20 {
        history.place(&world, &[(0, 1)]).await;
    }
    let worker = world.follow();
    world.all_catch_up().await;
    let count = || async { digests::count_all(&world.source(), projections::ALL).await.unwrap() };
    assert_eq!(count().await, [""; 0]);
    history.place(&world, &[(0, 1)]).await;
    world.all_catch_up().await;
    let slot = projections::slot_of(&history.orders[20].to_string());
    let forge = format!(
        "UPDATE projections.slots SET {forged} WHERE slot = {slot} AND generation = (SELECT id FROM projections.generations WHERE model = 'orders_v4')"
    );
    sqlx::query(AssertSqlSafe(forge)).execute(&world.pool()).await.unwrap();
    let found = count().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with(&format!("slot {slot} of orders took ")), "{found:?}");
    let overview = projections::overview::overview(&world.store, &[&ORDERS]).await.unwrap();
    assert_eq!(overview[0].live.as_ref().unwrap().difference.as_ref(), Some(&found[0]));
    let why = projections::why::why(&world.store, &ORDERS).await.unwrap();
    assert!(why[0].what.contains("is not what the log says"), "{why:?}");

    // It is not forgotten when more happens, but when the read model is made anew.
    for _ in 0..9 {
        history.place(&world, &[(0, 1)]).await;
    }
    world.all_catch_up().await;
    count().await;
    let overview = projections::overview::overview(&world.store, &[&ORDERS]).await.unwrap();
    assert!(overview[0].live.as_ref().unwrap().difference.is_some());
    world.rebuild(&ORDERS).await;
    world.all_catch_up().await;
    worker.stop().await;
    world.is_as_the_log_says().await;
}

#[tokio::test]
async fn a_skipped_event_is_found_out() {
    is_found_out("events = events - 1").await;
}

#[tokio::test]
async fn an_event_taken_twice_is_found_out() {
    is_found_out("events = events + 1").await;
}

#[tokio::test]
async fn an_event_taken_for_another_is_found_out() {
    is_found_out("digest = digest # 1").await;
}
