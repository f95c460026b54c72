//! Law 8: what cannot take effect is not skipped, and only its own key waits for it.

use eventstore::{
    Append, CommandId, EventType, ExpectedVersion, Fingerprint, Metadata, NewEvent, Position,
    StreamId,
};
use projections::operations::{self, OperationError, Redriven};
use projections::orders::{self, ORDERS};
use projections::products::PRODUCTS;
use projections::{MOST_PARKED, Status};
use sqlx::AssertSqlSafe;
use testkit::eventually;
use uuid::Uuid;

use crate::history::History;
use crate::support::{LIMIT, World, id};

/// Appends an event of a stream of its own that today's types cannot read; answers with its key.
async fn append(world: &World, name: &str, schema_version: i16, payload: &str) -> (Uuid, Position) {
    let key = id();
    let stream = StreamId::new(format!("ordering.order-{key}")).unwrap();
    let event = NewEvent::new(stream.clone(), EventType::new(name, schema_version), payload);
    let metadata = Metadata {
        actor: "test".to_owned(),
        tenant: None,
        correlation_id: id(),
        causation_id: None,
        trace: None,
    };
    let append = Append {
        expectations: vec![(stream, ExpectedVersion::NO_STREAM)],
        events: vec![event],
        ..Append::new(CommandId::new(id()), Fingerprint::of(b""), metadata)
    };
    (key, world.store.append(append).await.unwrap().position)
}

/// Action, key, position and reason of what somebody did.
type Done = (String, Option<String>, Option<i64>, Option<String>);

async fn parked(world: &World, keys: usize) -> Vec<operations::ParkedKey> {
    eventually(LIMIT, "keys to be parked", || async {
        let parked = operations::parked_keys(&world.pool(), &ORDERS).await.unwrap();
        if parked.len() == keys { Ok(parked) } else { Err(parked) }
    })
    .await
}

async fn is_parked_alone(name: &str, schema_version: i16, payload: &str) {
    let world = World::new().await;
    let mut history = History::default();
    history.list(&world, 100).await;
    let before = history.place(&world, &[(0, 1)]).await;
    let worker = world.follow();
    world.all_catch_up().await;

    let (key, position) = append(&world, name, schema_version, payload).await;
    let after = history.place(&world, &[(0, 1)]).await;
    let [one] = parked(&world, 1).await.try_into().unwrap();
    assert_eq!((one.key, one.position, one.events), (key.to_string(), position, 1));
    assert!(one.error.contains(&format!("the event at position {position}")), "{}", one.error);
    history.tell_all(&world).await;
    world.all_catch_up().await;
    for order in [before, after] {
        let order =
            orders::get(&world.pool(), projections::Tenant::All, order).await.unwrap().unwrap();
        assert_eq!(order.status, orders::Status::Confirmed);
    }
    assert_eq!(worker.status(&ORDERS), Status::Following);

    // One that is made anew cannot jump over it either, and is equal: both wait for the same.
    let comparison = world.verify(&ORDERS).await;
    assert!(comparison.is_equal(), "{comparison:#?}");
    assert_eq!((comparison.parked_live, comparison.parked_new), (1, 1));

    // As long as nothing is mended it stays where it is, and says why.
    let key = key.to_string();
    let redriven = operations::retry(&world.source(), &ORDERS, &key, "somebody").await.unwrap();
    assert!(matches!(redriven, Redriven::Stuck { events: 0, .. }), "{redriven:?}");
    assert_eq!(parked(&world, 1).await[0].attempts, 2);
    let source = world.source();
    let skipped = operations::skip(&source, &ORDERS, &key, "never happened", "somebody").await;
    assert_eq!(skipped.unwrap(), Redriven::Free(0));
    parked(&world, 0).await;
    let again = operations::retry(&source, &ORDERS, &key, "somebody").await;
    assert!(matches!(again, Err(OperationError::NotParked(_))), "{again:?}");
    let done: Vec<Done> = sqlx::query_as(
        "SELECT action, key, position, reason FROM projections.interventions ORDER BY id",
    )
    .fetch_all(&world.pool())
    .await
    .unwrap();
    let reason = Some("never happened".to_owned());
    assert_eq!(
        done,
        [
            ("retry".to_owned(), Some(key.clone()), None, None),
            ("skip".to_owned(), Some(key), Some(position.get()), reason),
        ]
    );
    worker.stop().await;
}

#[tokio::test]
async fn an_event_of_an_unknown_version_is_parked_alone() {
    is_parked_alone("ordering.order-placed", 99, "{}").await;
}

#[tokio::test]
async fn an_event_of_another_shape_is_parked_alone() {
    is_parked_alone("ordering.order-confirmed", 1, r#"{"order_id":"none"}"#).await;
}

#[tokio::test]
async fn an_event_of_a_type_that_is_not_read_holds_nobody_up() {
    let world = World::new().await;
    let mut history = History::default();
    history.list(&world, 100).await;
    append(&world, "ordering.order-imagined", 1, "{}").await;
    let placed = history.place(&world, &[(0, 1)]).await;
    let worker = world.follow();
    world.all_catch_up().await;
    assert!(orders::get(&world.pool(), projections::Tenant::All, placed).await.unwrap().is_some());
    parked(&world, 0).await;
    worker.stop().await;
}

/// A row that the log speaks of is gone: its key waits with all that comes later, and once the row is
/// back everything takes effect in order.
#[tokio::test]
async fn what_waits_takes_effect_in_order_once_it_can() {
    let world = World::new().await;
    let mut history = History::default();
    let mended = history.list(&world, 100).await;
    let other = history.list(&world, 100).await;
    let worker = world.follow();
    world.all_catch_up().await;
    let take = "CREATE TABLE kept AS SELECT * FROM products_v2.products WHERE product_id = 'ID'; DELETE FROM products_v2.products WHERE product_id = 'ID'"
        .replace("ID", &mended.to_string());
    sqlx::raw_sql(AssertSqlSafe(take)).execute(&world.pool()).await.unwrap();
    for _ in 0..7 {
        history.place(&world, &[(0, 1), (1, 2)]).await;
    }
    history.tell_all(&world).await;
    world.all_catch_up().await;
    let keys = operations::parked_keys(&world.pool(), &PRODUCTS).await.unwrap();
    assert_eq!(keys.len(), 1);
    assert_eq!((keys[0].key.as_str(), keys[0].events), (mended.to_string().as_str(), 7));
    assert!(keys[0].error.contains("nobody has listed the product"), "{}", keys[0].error);
    let seen = projections::products::get(&world.pool(), other).await.unwrap().unwrap();
    assert_eq!(seen.available, 100 - 14);

    sqlx::query("INSERT INTO products_v2.products SELECT * FROM kept")
        .execute(&world.pool())
        .await
        .unwrap();
    let key = mended.to_string();
    let redriven = operations::retry(&world.source(), &PRODUCTS, &key, "somebody").await.unwrap();
    assert_eq!(redriven, Redriven::Free(7));
    history.place(&world, &[(0, 1)]).await;
    history.tell_all(&world).await;
    world.all_catch_up().await;
    let seen = projections::products::get(&world.pool(), mended).await.unwrap().unwrap();
    assert_eq!(seen.available, 100 - 8);
    worker.stop().await;
    world.is_as_the_log_says().await;
}

/// When more is wrong than some keys, the read model stands still and says so; nothing is skipped.
#[tokio::test]
async fn more_parked_keys_than_people_can_look_after_stop_it_loudly() {
    let world = World::new().await;
    let mut history = History::default();
    let product = history.list(&world, 10_000).await;
    let worker = world.follow();
    world.all_catch_up().await;
    let most = usize::try_from(MOST_PARKED).unwrap();
    for _ in 0..most {
        append(&world, "ordering.order-placed", 99, "{}").await;
    }
    parked(&world, most).await;
    let (_, last) = append(&world, "ordering.order-placed", 99, "{}").await;
    let failing = |status: &Status| matches!(status, Status::Failing { error, .. } if error.contains("no more than 100"));
    worker.comes_to(&ORDERS, "orders to stand still", failing).await;
    let placed = history.place(&world, &[(0, 1)]).await;
    history.list(&world, 5).await;
    world.catches_up(&PRODUCTS).await;
    assert!(world.position(&ORDERS).await.unwrap() < last);
    assert!(orders::get(&world.pool(), projections::Tenant::All, placed).await.unwrap().is_none());

    // Room for one more is enough for it to go on.
    let first = parked(&world, most).await.remove(0).key;
    operations::skip(&world.source(), &ORDERS, &first, "a test", "somebody").await.unwrap();
    world.catches_up(&ORDERS).await;
    assert!(orders::get(&world.pool(), projections::Tenant::All, placed).await.unwrap().is_some());
    assert!(projections::products::get(&world.pool(), product).await.unwrap().is_some());
    worker.stop().await;
}

/// Trouble that is no event's fault parks nothing, however long it lasts.
#[tokio::test]
async fn trouble_of_the_database_parks_nothing() {
    let world = World::new().await;
    let mut history = History::default();
    history.list(&world, 100).await;
    let worker = world.follow();
    world.all_catch_up().await;
    let rename = |from: &str, to: &str| format!("ALTER TABLE orders_v4.{from} RENAME TO {to}");
    sqlx::raw_sql(AssertSqlSafe(rename("orders", "gone"))).execute(&world.pool()).await.unwrap();
    let placed = history.place(&world, &[(0, 1)]).await;
    let failing = |status: &Status| matches!(status, Status::Failing { attempts: 7.., .. });
    let status = worker.comes_to(&ORDERS, "orders to try again and again", failing).await;
    let Status::Failing { error, .. } = status else { unreachable!("it was seen") };
    assert!(error.contains("does not exist"), "{error}");
    parked(&world, 0).await;
    sqlx::raw_sql(AssertSqlSafe(rename("gone", "orders"))).execute(&world.pool()).await.unwrap();
    world.catches_up(&ORDERS).await;
    assert!(orders::get(&world.pool(), projections::Tenant::All, placed).await.unwrap().is_some());
    worker.stop().await;
}

/// What is told of an event may quote it, and PostgreSQL takes no NUL in a text.
#[tokio::test]
async fn an_event_whose_error_cannot_be_stored_as_it_is_is_parked_too() {
    let field = format!(r#"{{"a\u0000{}":1}}"#, "x".repeat(10_000));
    let world = World::new().await;
    let worker = world.follow();
    append(&world, "ordering.order-confirmed", 1, &field).await;
    let [one] = parked(&world, 1).await.try_into().unwrap();
    assert!(one.error.len() < 3_000 && one.error.contains("unknown field"), "{}", one.error);
    worker.stop().await;
}
