//! `Annals-Min-Position`: an answer is as fresh as was asked for, or says why it cannot be.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::{HeaderValue, Method};
use eventstore::EventType;
use futures_util::future::join_all;
use projections::operations;
use projections::orders::ORDERS;
use serde_json::json;
use sqlx::postgres::PgPoolOptions;
use testkit::{TestDatabase, eventually};

use crate::statements;
use crate::support::{Answer, LIMIT, TestApp, order, request};

/// The routes whose answers can be too old.
const QUERIES: [&str; 4] = [
    "/v1/orders",
    "/v1/orders/00000000-0000-7000-8000-000000000001",
    "/v1/products",
    "/v1/products/00000000-0000-7000-8000-000000000001",
];

/// Asks right after each command for its effect.
async fn sees_what_it_has_written(app: &TestApp) {
    let listed = app.post("/v1/products", crate::support::product("Mug-1", 1250, "EUR")).await;
    let position = &listed.headers["annals-position"];
    let shown = app.get_at(&listed.headers["location"], position).await;
    assert_eq!((shown.status, &shown.body["id"]), (200, &listed.body["id"]), "{shown:?}");
    assert_eq!(shown.body["available"], 5, "both events of the command are seen");
    let mug = listed.body["id"].as_str().unwrap();
    for quantity in 1..=20 {
        let (address, position) = app.place(&[(mug, quantity)]).await;
        let shown = app.get_at(&address, &position).await;
        assert_eq!(shown.status, 200, "{shown:?}");
        assert_eq!(shown.body["lines"][0]["quantity"], quantity);
        let first = app.get_at("/v1/orders?limit=1", &position).await;
        assert_eq!(first.body["items"][0], shown.body);
    }
}

/// Leads nowhere: who asks through it gets no answer.
fn closed(database: &TestDatabase) -> sqlx::PgPool {
    let pool = PgPoolOptions::new().connect_lazy(database.url()).unwrap();
    drop(pool.close());
    pool
}

#[tokio::test]
async fn a_process_that_keeps_the_read_models_sees_what_it_has_written_without_asking() {
    let (app, keeper) = TestApp::that_keeps(closed).await;
    sees_what_it_has_written(&app).await;
    keeper.stop().await;
}

#[tokio::test]
async fn a_process_sees_what_it_has_written_when_others_keep_the_read_models() {
    let app = TestApp::patient(TestDatabase::pool).await;
    let other = app.keep();
    sees_what_it_has_written(&app).await;
    other.stop().await;
}

#[tokio::test]
async fn a_process_sees_what_it_has_written_when_it_shares_the_read_models() {
    let (app, keeper) = TestApp::that_keeps(TestDatabase::pool).await;
    let other = app.keep();
    sees_what_it_has_written(&app).await;
    // Whoever stops leaves everything to the one that remains, in either direction.
    other.stop().await;
    sees_orders(&app).await;
    let other = app.keep();
    keeper.stop().await;
    sees_orders(&app).await;
    other.stop().await;
}

async fn sees_orders(app: &TestApp) {
    let page = app.get("/v1/products").await;
    let mug = page.body["items"][0]["id"].as_str().unwrap();
    let (address, position) = app.place(&[(mug, 1)]).await;
    assert_eq!(app.get_at(&address, &position).await.status, 200);
}

/// Its statements are traced, those of [`TestDatabase::pool`] are not.
fn traced(database: &TestDatabase) -> sqlx::PgPool {
    PgPoolOptions::new().connect_lazy(database.url()).unwrap()
}

#[tokio::test]
async fn many_that_wait_ask_together() {
    let app = TestApp::patient(traced).await;
    let mug = app.list("Mug-1", 1250, "EUR").await;
    let (address, position) = app.place(&[(&mug, 1)]).await;
    app.project().await;
    let statements = statements::count();
    // The first question gets no answer while this lasts.
    let mut holding = app.pool().begin().await.unwrap();
    let lock = "LOCK TABLE projections.slots IN ACCESS EXCLUSIVE MODE";
    sqlx::query(lock).execute(&mut *holding).await.unwrap();
    let addresses = ["/v1/orders", "/v1/products", &address];
    let others = async {
        eventually(LIMIT, "the question to wait", async || match waiting_for_locks(&app).await {
            1 => Ok(()),
            count => Err(count),
        })
        .await;
        // They all ask before the lock can be gone.
        let asking = (0..200).map(|number| app.get_at(addresses[number % 3], &position));
        tokio::join!(join_all(asking), holding.rollback()).0
    };
    let (first, others) = tokio::join!(app.get_at(&address, &position), others);
    assert_eq!(first.status, 200);
    assert!(others.iter().all(|answer| answer.status == 200), "{others:?}");
    let asked = statements.sent();
    assert_eq!(asked.len(), 2, "one for the first, one for all who came meanwhile: {asked:#?}");
}

async fn waiting_for_locks(app: &TestApp) -> i64 {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query_scalar(waiting).fetch_one(&app.pool()).await.unwrap()
}

/// A refusal that says when to come again.
fn refused(answer: &Answer, code: &str) {
    assert_eq!((answer.status, answer.code()), (503, code), "{answer:?}");
    assert_eq!(answer.headers["retry-after"], "1");
}

/// An order that everybody has seen.
async fn one_order(app: &TestApp) -> (String, String, String) {
    let mug = app.list("Mug-1", 1250, "EUR").await;
    let (address, position) = app.place(&[(&mug, 1)]).await;
    (mug, address, position)
}

#[tokio::test]
async fn beyond_the_log_there_is_nothing_to_see() {
    let app = TestApp::new().await;
    let (_, address, position) = one_order(&app).await;
    app.project().await;
    assert_eq!(app.get_at(&address, &position).await.status, 200);
    let answer = app.get_at(&address, 4).await;
    assert_eq!((answer.status, answer.code()), (404, "not-reached"));
    insta::assert_json_snapshot!("beyond_the_log", answer);
    assert_eq!(app.get_at("/v1/orders", 4).await, answer);
    assert_eq!(app.get_at("/v1/products", i64::MAX).await.code(), "not-reached");
    assert_eq!(app.get(&address).await.status, 200, "who asks for less is answered");
}

#[tokio::test]
async fn what_is_paused_is_not_waited_for_in_vain() {
    let app = TestApp::new().await;
    let keeper = app.keep();
    let (mug, address, position) = one_order(&app).await;
    keeper.catches_up(app.store()).await;
    operations::set_paused(&app.pool(), &ORDERS, true, "test").await.unwrap();
    assert_eq!(app.get_at(&address, &position).await.status, 200, "it is that far");
    let (address, position) = app.place(&[(&mug, 2)]).await;
    let answer = app.get_at(&address, &position).await;
    refused(&answer, "not-yet");
    insta::assert_json_snapshot!("paused", answer);
    assert_eq!(app.get_at("/v1/orders", &position).await, answer);
    operations::set_paused(&app.pool(), &ORDERS, false, "test").await.unwrap();
    is_answered(&app, &address, &position).await;
    keeper.stop().await;
}

async fn is_answered(app: &TestApp, address: &str, position: &str) {
    eventually(LIMIT, "an answer", async || {
        let answer = app.get_at(address, position).await;
        if answer.status == 200 { Ok(()) } else { Err(answer) }
    })
    .await;
}

#[tokio::test]
async fn what_nobody_keeps_is_not_waited_for_in_vain() {
    let app = TestApp::new().await;
    let (mug, ..) = one_order(&app).await;
    app.project().await;
    let (address, position) = app.place(&[(&mug, 2)]).await;
    let answer = app.get_at(&address, &position).await;
    refused(&answer, "not-yet");
    insta::assert_json_snapshot!("abandoned", answer);
    let keeper = app.keep();
    is_answered(&app, &address, &position).await;
    keeper.stop().await;
}

#[tokio::test]
async fn what_needs_longer_says_so() {
    let app = TestApp::new().await;
    let keeper = app.keep();
    let (mug, ..) = one_order(&app).await;
    keeper.catches_up(app.store()).await;
    // Queries of others go on reading, nothing can take effect.
    let mut holding = app.pool().begin().await.unwrap();
    let lock = "LOCK TABLE orders_v4.orders IN EXCLUSIVE MODE";
    sqlx::query(lock).execute(&mut *holding).await.unwrap();
    let (address, position) = app.place(&[(&mug, 2)]).await;
    let answer = app.get_at(&address, &position).await;
    refused(&answer, "not-yet");
    insta::assert_json_snapshot!("behind", answer);
    holding.rollback().await.unwrap();
    is_answered(&app, &address, &position).await;
    keeper.stop().await;
}

/// Has the order at `address` confirmed by an event that nobody can read; answers with its position
/// when that is parked.
async fn park(app: &TestApp, address: &str) -> i64 {
    let id = address.rsplit('/').next().unwrap();
    let unreadable = EventType::new("ordering.order-confirmed", 99);
    let position = app.append(&format!("ordering.order-{id}"), unreadable, &json!({})).await;
    eventually(LIMIT, "the key to be parked", async || {
        let parked = operations::parked_keys(&app.pool(), &ORDERS).await.unwrap();
        if parked.iter().any(|parked| parked.key == id) { Ok(()) } else { Err(parked) }
    })
    .await;
    position
}

#[tokio::test]
async fn only_the_parked_key_is_refused_and_only_for_what_is_parked() {
    let app = TestApp::new().await;
    let keeper = app.keep();
    let (mug, address, before) = one_order(&app).await;
    let poison = park(&app, &address).await;
    let (other, after) = app.place(&[(&mug, 2)]).await;
    is_answered(&app, &other, &after).await;

    let answer = app.get_at(&address, poison).await;
    refused(&answer, "not-yet");
    insta::assert_json_snapshot!("parked", answer);
    refused(&app.get_at(&address, &after).await, "not-yet");
    for position in ["0", &before] {
        let shown = app.get_at(&address, position).await;
        assert_eq!((shown.status, shown.body["status"].as_str()), (200, Some("placed")));
    }
    assert_eq!(app.get(&address).await.status, 200);
    let page = app.get_at("/v1/orders", &after).await;
    assert_eq!(page.body["items"].as_array().unwrap().len(), 2, "lists are answered: {page:?}");
    assert_eq!(app.get_at("/v1/products", &after).await.status, 200);
    keeper.stop().await;
}

/// It was parked before this process came, which has not yet moved anything.
#[tokio::test]
async fn a_process_that_takes_a_read_model_over_knows_what_is_parked() {
    let (app, first) = TestApp::that_keeps(TestDatabase::pool).await;
    let (_, address, before) = one_order(&app).await;
    let poison = park(&app, &address).await;
    first.stop().await;
    let (app, second) = app.taken_over().await;
    second.catches_up(app.store()).await;
    refused(&app.get_at(&address, poison).await, "not-yet");
    assert_eq!(app.get_at(&address, &before).await.status, 200);
    second.stop().await;
}

#[tokio::test]
async fn what_is_made_for_the_first_time_cannot_be_queried_yet() {
    let app = TestApp::new().await;
    let (_, address, position) = one_order(&app).await;
    app.project().await;
    // As it is after an upgrade that brings a new read model.
    sqlx::raw_sql("DROP SCHEMA orders_v4 CASCADE; DELETE FROM projections.generations WHERE model = 'orders_v4'")
        .execute(&app.pool())
        .await
        .unwrap();
    projections::prepare(&app.pool(), projections::ALL).await.unwrap();
    for address in ["/v1/orders", &address] {
        let answer = app.get(address).await;
        refused(&answer, "in-the-making");
        insta::assert_json_snapshot!("in_the_making", answer);
        assert_eq!(app.get_at(address, 0).await, answer, "there is nothing to wait for");
        let answer = app.get_at(address, &position).await;
        refused(&answer, "not-yet");
        insta::assert_json_snapshot!("not_yet_in_the_making", answer);
    }
    assert_eq!(app.get_at("/v1/products", &position).await.status, 200);
    let then = app.get(&format!("{address}?as_of=position:{position}")).await;
    assert_eq!(then.status, 200, "what was at a moment needs no read model: {then:?}");
    let keeper = app.keep();
    is_answered(&app, &address, &position).await;
    assert_eq!(app.get(&address).await.body, then.body);
    keeper.stop().await;
}

#[tokio::test]
async fn who_does_not_wait_is_answered_what_is_there() {
    let app = TestApp::that_waits(Duration::ZERO).await;
    let (mug, address, position) = one_order(&app).await;
    refused(&app.get_at(&address, &position).await, "not-yet");
    app.project().await;
    assert_eq!(app.get_at(&address, &position).await.status, 200);
    let (address, position) = app.place(&[(&mug, 1)]).await;
    refused(&app.get_at(&address, &position).await, "not-yet");
}

#[tokio::test]
async fn what_is_of_no_concern_is_not_waited_for() {
    // Long enough for a question to be answered.
    let app = TestApp::that_waits(Duration::from_secs(3)).await;
    for address in QUERIES {
        let answer = app.get_at(address, 0).await;
        assert_ne!(answer.status, 503, "the empty log: {answer:?}");
    }
    // Nobody keeps anything, so whoever waited would wait in vain.
    let mug = app.list("Mug-1", 1250, "EUR").await;
    let listed = app.log_length().await;
    assert_eq!(app.get_at("/v1/orders", listed).await.status, 200);
    assert_eq!(app.get_at(QUERIES[1], listed).await.status, 404);
    refused(&app.get_at("/v1/products", listed).await, "not-yet");
    assert_eq!(app.get_at("/v1/orders", listed + 1).await.code(), "not-reached");
    app.project().await;
    let (_, position) = app.place(&[(&mug, 1)]).await;
    assert_eq!(app.get_at("/v1/products", &position).await.status, 200);
    refused(&app.get_at("/v1/orders", &position).await, "not-yet");
    // What comes before the first event of concern is there, what comes after it is not.
    assert_eq!(app.get_at("/v1/orders", listed).await.status, 200);
    app.list("Mug-2", 1250, "EUR").await;
    refused(&app.get_at("/v1/orders", app.log_length().await).await, "not-yet");
}

#[tokio::test]
async fn what_is_no_position_is_refused_by_the_name_of_the_header() {
    let app = TestApp::new().await;
    let values: [&[u8]; 10] = [
        b"",
        b"-1",
        b"+1",
        b"1.0",
        b"0x1",
        b"last",
        b"1 2",
        b"1,2",
        b"9223372036854775808",
        b"\xd9\xa1",
    ];
    let mut answers = Vec::new();
    for address in QUERIES {
        for value in values {
            let mut request = request(Method::GET, address);
            let value = HeaderValue::from_bytes(value).unwrap();
            request.headers_mut().insert("annals-min-position", value);
            answers.push(app.send(request).await);
        }
        let mut twice = request(Method::GET, address);
        twice.headers_mut().append("annals-min-position", HeaderValue::from_static("1"));
        twice.headers_mut().append("annals-min-position", HeaderValue::from_static("1"));
        answers.push(app.send(twice).await);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0].code(), "invalid-header");
    insta::assert_json_snapshot!("no_position", answers[0]);
}

/// Every command says where it has taken effect, the first time and when it comes again.
#[tokio::test]
async fn every_answer_to_a_command_has_its_position() {
    let app = TestApp::new().await;
    let mug = app.list("Mug-1", 1250, "EUR").await;
    let commands = [
        ("/v1/products", crate::support::product("Mug-2", 1250, "EUR")),
        ("/v1/orders", order(&[(&mug, 1)])),
    ];
    let mut positions = BTreeSet::new();
    for (address, body) in commands {
        let first = app.post_as(address, address, body.clone()).await;
        let position = first.headers["annals-position"].clone();
        assert_eq!(position, app.log_length().await.to_string());
        app.list(&format!("Cup-{position}"), 1, "EUR").await;
        let again = app.post_as(address, address, body).await;
        assert_eq!(again.headers["idempotency-replayed"], "true");
        assert_eq!(again.headers["annals-position"], position, "that of the first time");
        positions.insert(position);
    }
    assert_eq!(positions.len(), 2);
}
