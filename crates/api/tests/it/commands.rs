//! Commands that take effect, once, and what can be seen of them.

use std::time::Duration;

use crate::support::{LIMIT, TestApp, order, product};

#[tokio::test]
async fn a_product_is_listed_and_shown() {
    let app = TestApp::new().await;
    let listed = app.post("/v1/products", product("Mug-1", 1250, "EUR")).await;
    insta::assert_json_snapshot!("product_listed", listed);
    let address = listed.headers["location"].clone();
    insta::assert_json_snapshot!("product_not_there_yet", app.get(&address).await);
    app.project().await;
    insta::assert_json_snapshot!("product_shown", app.get(&address).await);
    app.list("Mug-2", 1, "JPY").await;
    app.project().await;
    let page = app.get("/v1/products?limit=1").await;
    insta::assert_json_snapshot!("products_first_page", page);
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let page = app.get(&format!("/v1/products?limit=1&cursor={cursor}")).await;
    insta::assert_json_snapshot!("products_last_page", page);
}

#[tokio::test]
async fn an_order_is_placed_and_shown() {
    let app = TestApp::new().await;
    let mug = app.list("Mug-1", 1250, "EUR").await;
    let plate = app.list("Plate-1", 800, "EUR").await;
    let placed = app.post("/v1/orders", order(&[(&plate, 2), (&mug, 1)])).await;
    insta::assert_json_snapshot!("order_placed", placed);
    let address = placed.headers["location"].clone();
    insta::assert_json_snapshot!("order_not_there_yet", app.get(&address).await);
    app.project().await;
    insta::assert_json_snapshot!("order_shown", app.get(&address).await);
    let newer = app.post("/v1/orders", order(&[(&mug, 1)])).await;
    app.project().await;
    let page = app.get("/v1/orders?limit=1").await;
    assert_eq!(page.body["items"][0]["id"], newer.body["id"], "the newest first");
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let page = app.get(&format!("/v1/orders?cursor={cursor}")).await;
    insta::assert_json_snapshot!("orders_last_page", page);
}

#[tokio::test]
async fn lists_begin_empty() {
    let app = TestApp::new().await;
    let products = app.get("/v1/products").await;
    assert_eq!(products, app.get("/v1/orders").await);
    insta::assert_json_snapshot!(products);
}

#[tokio::test]
async fn a_command_that_comes_again_is_answered_as_the_first_time() {
    let app = TestApp::new().await;
    let body = product("Mug-1", 1250, "EUR");
    let first = app.post_as("k", "/v1/products", body.clone()).await;
    let length = app.log_length().await;
    let again = app.post_as("k", "/v1/products", body).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let mut without = again.clone();
    without.headers.remove("idempotency-replayed");
    assert_eq!(without, first);
    insta::assert_json_snapshot!("replayed", again);

    // Written in another way, it asks for the same.
    let rewritten = r#"{ "stock": 5, "price": {"currency": "EUR", "amount": 1250}, "name": "\u004dug", "sku": "Mug-1" }"#;
    assert_eq!(app.post_as("k", "/v1/products", rewritten).await, again);

    let other = app.post_as("k", "/v1/products", product("Mug-2", 1250, "EUR")).await;
    insta::assert_json_snapshot!("key_reused", other);
    assert_eq!(app.log_length().await, length);
}

#[tokio::test]
async fn a_query_beyond_the_deadline() {
    let app = TestApp::with_deadline(Duration::from_millis(100)).await;
    let mut holding = app.pool().begin().await.unwrap();
    let lock = "LOCK TABLE products_v2.products IN ACCESS EXCLUSIVE MODE";
    sqlx::query(lock).execute(&mut *holding).await.unwrap();
    insta::assert_json_snapshot!(app.get("/v1/products").await);
}

#[tokio::test]
async fn a_command_beyond_the_deadline_may_take_effect_and_is_found_by_its_key() {
    let app = TestApp::with_deadline(Duration::from_millis(1_500)).await;
    let mut holding = app.pool().begin().await.unwrap();
    let lock = "SELECT pg_advisory_xact_lock(107126926175347)";
    sqlx::query(lock).execute(&mut *holding).await.unwrap();
    let body = product("Mug-1", 1250, "EUR");
    insta::assert_json_snapshot!(app.post_as("k", "/v1/products", body.clone()).await);
    holding.rollback().await.unwrap();
    let again = testkit::eventually(LIMIT, "an answer in time", async || {
        let answer = app.post_as("k", "/v1/products", body.clone()).await;
        if answer.status == 201 { Ok(answer) } else { Err(answer) }
    })
    .await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(app.log_length().await, 2, "one product and its stock");
}
