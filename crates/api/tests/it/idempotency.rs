//! `Idempotency-Key`: the name of a command.

use axum::http::Method;
use sqlx::Connection;

use crate::support::{TestApp, order, post, product, request};

#[tokio::test]
async fn a_command_that_must_have_a_name_is_refused_without() {
    let app = TestApp::new().await;
    let mut request = post("/v1/orders", order(&[]));
    request.headers_mut().remove("idempotency-key");
    insta::assert_json_snapshot!("key_missing", app.send(request).await);
    let mut request = post("/v1/products", product("MUG-1", 1, "EUR"));
    request.headers_mut().remove("idempotency-key");
    assert_eq!(app.send(request).await.status, 201, "a second one is refused by its SKU");
}

/// The first request hangs in the database: it waits for the order lock of the log.
#[tokio::test]
async fn while_the_first_one_is_in_hand_the_second_is_refused() {
    let app = TestApp::new().await;
    let mut holder = app.pool().acquire().await.unwrap().detach();
    let mut transaction = holder.begin().await.unwrap();
    sqlx::query("LOCK TABLE eventstore.commands IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *transaction)
        .await
        .unwrap();
    let first = app.post_as("k", "/v1/products", product("MUG-1", 1, "EUR"));
    let second = async {
        app.waits_for_a_lock().await;
        let second = app.post_as("k", "/v1/products", product("MUG-1", 1, "EUR")).await;
        let other = post("/v1/orders", "no JSON");
        assert_eq!(app.send(other).await.code(), "malformed-json", "others are not held up");
        transaction.rollback().await.unwrap();
        second
    };
    let (first, second) = tokio::join!(first, second);
    assert_eq!(first.status, 201, "{first:?}");
    insta::assert_json_snapshot!("key_in_use", second);
    let third = app.post_as("k", "/v1/products", product("MUG-1", 1, "EUR")).await;
    assert_eq!(third.status, 201);
    assert_eq!(third.headers["idempotency-replayed"], "true");
    assert_eq!(third.body, first.body);
    assert_eq!(app.get("/v1/products").await.status, 200);
    let listed =
        app.send(request(Method::GET, "/v1/audit/events?type=catalog.product-listed")).await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
}
