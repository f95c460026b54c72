//! Headers of requests and answers.

use axum::body::Body;
use axum::http::{HeaderValue, Request};

use crate::support::{TestApp, post, product};

#[tokio::test]
async fn a_request_id_is_given_back_if_it_is_a_uuid_and_made_otherwise() {
    let app = TestApp::new().await;
    let ask = async |id: Option<&str>| {
        let mut request = Request::get("/v1/products").body(Body::empty()).unwrap();
        if let Some(id) = id {
            request.headers_mut().insert("x-request-id", HeaderValue::from_str(id).unwrap());
        }
        app.send_bare(request).await.headers["x-request-id"].clone()
    };
    let mine = "0af76519-16cd-43dd-8448-eb211c80319c";
    assert_eq!(ask(Some(mine)).await, mine);
    assert_eq!(ask(Some("0AF7651916CD43DD8448EB211C80319C")).await, mine, "in one form");
    let mut made = Vec::new();
    for given in [None, Some("mine"), Some("")] {
        let id = ask(given).await;
        assert!(id.starts_with("019b"), "from the source of ids: {id}");
        made.push(id);
    }
    made.dedup();
    assert_eq!(made.len(), 3);
}

#[tokio::test]
async fn a_request_id_and_a_trace_are_recorded_with_the_events() {
    let app = TestApp::new().await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mine = "0af76519-16cd-43dd-8448-eb211c80319c";
    let mut request = post("/v1/products", product("Mug-1", 1, "EUR"));
    request.headers_mut().insert("x-request-id", mine.parse().unwrap());
    request.headers_mut().insert("traceparent", trace.parse().unwrap());
    assert_eq!(app.send(request).await.status, 201);
    let mut request = post("/v1/products", product("Mug-2", 1, "EUR"));
    request.headers_mut().insert("x-request-id", mine.parse().unwrap());
    request.headers_mut().insert("traceparent", "made up".parse().unwrap());
    assert_eq!(app.send(request).await.status, 201);

    let recorded: Vec<(String, Option<String>, String)> = sqlx::query_as(
        "SELECT DISTINCT correlation_id::text, trace, actor FROM eventstore.events ORDER BY trace",
    )
    .fetch_all(&app.pool())
    .await
    .unwrap();
    let actor = "anonymous".to_owned();
    let expected =
        [(mine.to_owned(), Some(trace.to_owned()), actor.clone()), (mine.to_owned(), None, actor)];
    assert_eq!(recorded, expected);
}

#[tokio::test]
async fn an_idempotency_key_that_is_none() {
    let app = TestApp::new().await;
    let long = "k".repeat(256);
    let mut answers = Vec::new();
    for key in [&b""[..], long.as_bytes(), b"k\xc3\xa9y", b"a\tb"] {
        let mut request = post("/v1/products", product("Mug-1", 1, "EUR"));
        let key = HeaderValue::from_bytes(key).unwrap();
        request.headers_mut().insert("idempotency-key", key);
        answers.push(app.send(request).await);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    insta::assert_json_snapshot!("bad_key", answers[0]);

    let mut request = post("/v1/products", product("Mug-1", 1, "EUR"));
    request.headers_mut().append("idempotency-key", "a".parse().unwrap());
    request.headers_mut().append("idempotency-key", "b".parse().unwrap());
    insta::assert_json_snapshot!("two_keys", app.send(request).await);
    assert_eq!(app.log_length().await, 0);

    let longest = "k".repeat(255);
    let answer = app.post_as(&longest, "/v1/products", product("Mug-1", 1, "EUR")).await;
    assert_eq!(answer.status, 201);
}
