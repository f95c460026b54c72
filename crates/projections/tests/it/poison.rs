//! Law 8, first form: what cannot take effect is not skipped.

use eventstore::{
    Append, CommandId, Cursor, EventType, ExpectedVersion, Fingerprint, Metadata, NewEvent,
    Position, StreamId,
};
use projections::orders::{self, ORDERS};
use projections::products::{self, PRODUCTS};
use projections::rebuild::{RebuildError, rebuild};
use projections::worker::Status;

use crate::history::History;
use crate::support::{World, id};

/// Appends an event that today's types cannot read.
async fn append(world: &World, name: &str, schema_version: i16, payload: &str) -> Position {
    let stream = StreamId::new(format!("ordering.order-{}", id())).unwrap();
    let event = NewEvent::new(stream.clone(), EventType::new(name, schema_version), payload);
    let metadata = Metadata {
        actor: "test".to_owned(),
        correlation_id: id(),
        causation_id: None,
        trace: None,
    };
    let append = Append {
        expectations: vec![(stream, ExpectedVersion::NO_STREAM)],
        events: vec![event],
        ..Append::new(CommandId::new(id()), Fingerprint::of(b""), metadata)
    };
    world.store.append(append).await.unwrap().position
}

async fn stands_still_at(name: &str, schema_version: i16, payload: &str) {
    let world = World::new().await;
    let mut history = History::default();
    history.list(&world, 100).await;
    let before = history.place(&world, &[(0, 1)]).await;
    let orders_worker = world.follow(&ORDERS);
    let products_worker = world.follow(&PRODUCTS);
    world.all_catch_up().await;

    let poison = append(&world, name, schema_version, payload).await;
    let after = history.place(&world, &[(0, 1)]).await;
    let product = history.list(&world, 7).await;
    world.catches_up(&PRODUCTS).await;
    let failing = |status: &Status| matches!(status, Status::Failing { attempts: 2.., .. });
    let status = orders_worker.reaches("the worker to stand still", failing).await;
    let Status::Failing { position, error, .. } = status else { unreachable!("it was seen") };
    assert_eq!(position.get(), poison.get() - 1, "everything before it has taken effect");
    assert!(error.contains(&format!("the event at position {poison}")), "{error}");
    assert!(error.contains(name), "{error}");

    // Nothing is skipped, and the other projection has gone on.
    let pool = world.pool();
    assert!(orders::get(&pool, before).await.unwrap().is_some());
    assert!(orders::get(&pool, after).await.unwrap().is_none());
    let cursor = Cursor::peek(&pool, &ORDERS.cursor_name()).await.unwrap();
    assert_eq!(cursor, Some(position));
    assert!(products::get(&pool, product).await.unwrap().is_some());
    assert_eq!(products_worker.status(), Status::Following);

    // A rebuild cannot jump over it either, and leaves the live model as it is.
    let live = world.rows(&ORDERS).await;
    let rebuilt = rebuild(&world.store, &ORDERS, |_| {}).await;
    assert!(matches!(rebuilt, Err(RebuildError::Apply(_))), "{rebuilt:?}");
    assert_eq!(world.rows(&ORDERS).await, live);
    let rebuilt = rebuild(&world.store, &ORDERS, |_| {}).await;
    assert!(matches!(rebuilt, Err(RebuildError::Apply(_))), "the first one is over: {rebuilt:?}");

    orders_worker.stop().await;
    products_worker.stop().await;
}

#[tokio::test]
async fn an_event_of_an_unknown_version_is_not_skipped() {
    stands_still_at("ordering.order-placed", 99, "{}").await;
}

#[tokio::test]
async fn an_event_of_another_shape_is_not_skipped() {
    stands_still_at("ordering.order-confirmed", 1, r#"{"order_id":"none"}"#).await;
}

#[tokio::test]
async fn an_event_of_a_type_that_is_not_read_holds_nobody_up() {
    let world = World::new().await;
    let mut history = History::default();
    history.list(&world, 100).await;
    append(&world, "ordering.order-imagined", 1, "{}").await;
    let placed = history.place(&world, &[(0, 1)]).await;
    let worker = world.follow(&ORDERS);
    world.catches_up(&ORDERS).await;
    assert!(orders::get(&world.pool(), placed).await.unwrap().is_some());
    worker.stop().await;
}

/// What came before a poison event in the same batch takes effect all the same.
#[tokio::test]
async fn a_worker_that_starts_late_comes_up_to_the_poison() {
    let world = World::new().await;
    let mut history = History::default();
    history.list(&world, 100).await;
    let before = history.place(&world, &[(0, 1)]).await;
    let poison = append(&world, "ordering.order-placed", 99, "{}").await;
    let worker = world.follow(&ORDERS);
    let failing = |status: &Status| matches!(status, Status::Failing { .. });
    let status = worker.reaches("the worker to stand still", failing).await;
    let Status::Failing { position, .. } = status else { unreachable!("it was seen") };
    assert_eq!(position.get(), poison.get() - 1);
    assert!(orders::get(&world.pool(), before).await.unwrap().is_some());
    worker.stop().await;
}

/// The tables are not what the log says: going on would hide it.
#[tokio::test]
async fn a_model_that_lost_a_row_says_so() {
    let world = World::new().await;
    let mut history = History::default();
    history.list(&world, 100).await;
    history.place(&world, &[(0, 1)]).await;
    let worker = world.follow(&ORDERS);
    world.catches_up(&ORDERS).await;
    let row = "DELETE FROM orders_v1.orders";
    sqlx::query(row).execute(&world.pool()).await.unwrap();
    history.tell_all(&world).await;
    let failing = |status: &Status| matches!(status, Status::Failing { .. });
    worker.reaches("the worker to stand still", failing).await;

    // The remedy is a rebuild, under the eyes of the worker.
    rebuild(&world.store, &ORDERS, |_| {}).await.unwrap();
    worker.follows().await;
    let order = orders::get(&world.pool(), history.orders[0]).await.unwrap().unwrap();
    assert_eq!(order.status, orders::Status::Confirmed);
    worker.stop().await;
}
