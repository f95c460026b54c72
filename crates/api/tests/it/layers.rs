//! The order of the layers, by what a request sees of it: of two layers that would both answer, the
//! outer one does.

use std::collections::BTreeSet;
use std::time::Duration;

use api::forwarded::ClientAddress;
use api::{Grants, Limits, Origins, RateLimit};
use axum::body::Body;
use axum::http::{Method, Request};

use crate::support::{Answer, BODY_BYTES, PROTECTION, TestApp, post, request};

const ORIGIN: &str = "https://shop.example";

fn limits() -> Limits {
    Limits {
        body_bytes: BODY_BYTES,
        deadline: Duration::from_mins(1),
        rate: None,
        origins: Origins::parse([ORIGIN]).unwrap(),
        anonymous: Grants::all(),
    }
}

/// One request, and then nothing for longer than the test takes.
fn one_request() -> RateLimit {
    RateLimit { per_second: 1.try_into().unwrap(), burst: 1.try_into().unwrap() }
}

/// A request that comes from somewhere, and from a page of the shop.
fn outside(mut request: Request<Body>) -> Request<Body> {
    request.extensions_mut().insert(ClientAddress("192.0.2.1".parse().unwrap()));
    request.headers_mut().insert("origin", ORIGIN.parse().unwrap());
    request
}

fn misdirected() -> Request<Body> {
    let mut request = outside(post("/v1/orders", "no JSON"));
    request.headers_mut().insert("host", "evil.example".parse().unwrap());
    request.headers_mut().remove("idempotency-key");
    request
}

fn raw(answer: &Answer, name: &str) -> Option<String> {
    answer.headers.get(name).cloned()
}

/// What the outermost layers add, whoever inside has answered.
fn passed_the_outer_ones(app: &TestApp, answer: &Answer, status: &str) {
    assert!(raw(answer, "x-request-id").is_some(), "request id: {answer:?}");
    let counted = format!("status=\"{status}\"");
    assert!(app.metrics().contains(&counted), "metrics: {status}");
    assert_eq!(raw(answer, "access-control-allow-origin").as_deref(), Some(ORIGIN), "CORS");
    for (name, value) in PROTECTION {
        assert_eq!(answer.headers[name], value);
    }
}

#[tokio::test]
async fn who_is_refused_further_out_is_not_asked_for_more() {
    // Everything is wrong with this request: too often, of another host, not permitted, without a
    // key, without JSON. One wrong thing after the other is put right, from the outside in.
    let granted = Grants::named(["orders.read"]).unwrap();
    let wrong = || Limits { rate: Some(one_request()), anonymous: granted.clone(), ..limits() };
    let app = TestApp::with_limits(wrong()).await;
    assert_eq!(app.raw(misdirected()).await.status, 421, "the first request is not too often");

    let answer = app.raw(misdirected()).await;
    assert_eq!((answer.status, answer.code()), (429, "too-many-requests"));
    assert!(raw(&answer, "retry-after").is_some() && raw(&answer, "ratelimit").is_some());
    passed_the_outer_ones(&app, &answer, "429");

    let app = TestApp::with_limits(Limits { rate: None, ..wrong() }).await;
    let answer = app.raw(misdirected()).await;
    assert_eq!((answer.status, answer.code()), (421, "misdirected-request"), "authentication");
    passed_the_outer_ones(&app, &answer, "421");

    let here = || {
        let mut request = misdirected();
        request.headers_mut().insert("host", "localhost".parse().unwrap());
        request
    };
    let answer = app.raw(here()).await;
    assert_eq!((answer.status, answer.code()), (401, "not-logged-in"), "authorization");
    assert_eq!(answer.body["detail"], "It takes the permission `orders.place`.");
    passed_the_outer_ones(&app, &answer, "401");

    let app = TestApp::with_limits(limits()).await;
    let answer = app.raw(here()).await;
    assert_eq!((answer.status, answer.code()), (400, "idempotency-key-missing"), "idempotency");
    passed_the_outer_ones(&app, &answer, "400");

    let mut request = here();
    request.headers_mut().insert("idempotency-key", "k".parse().unwrap());
    let answer = app.raw(request).await;
    assert_eq!((answer.status, answer.code()), (400, "malformed-json"), "handler");
    passed_the_outer_ones(&app, &answer, "400");
}

#[tokio::test]
async fn what_is_left_is_told_with_every_answer() {
    let rate = RateLimit { per_second: 1.try_into().unwrap(), burst: 3.try_into().unwrap() };
    let app = TestApp::with_limits(Limits { rate: Some(rate), ..limits() }).await;
    let answer = app.raw(outside(request(Method::GET, "/v1/orders"))).await;
    assert_eq!(raw(&answer, "ratelimit-policy").as_deref(), Some("\"address\";q=3;w=3"));
    assert_eq!(raw(&answer, "ratelimit").as_deref(), Some("\"address\";r=2;t=1"));
    let mut elsewhere = outside(request(Method::GET, "/v1/orders"));
    elsewhere.extensions_mut().insert(ClientAddress("192.0.2.2".parse().unwrap()));
    let answer = app.raw(elsewhere).await;
    assert_eq!(raw(&answer, "ratelimit").as_deref(), Some("\"address\";r=2;t=1"), "its own");
}

#[tokio::test]
async fn a_browser_is_told_beforehand_who_may_ask() {
    let rate = Some(one_request());
    let app = TestApp::with_limits(Limits { rate, ..limits() }).await;
    let preflight = |origin: &str| {
        let mut request = outside(request(Method::OPTIONS, "/v1/orders"));
        let headers = request.headers_mut();
        headers.insert("origin", origin.parse().unwrap());
        headers.insert("access-control-request-method", "POST".parse().unwrap());
        headers.insert("access-control-request-headers", "idempotency-key".parse().unwrap());
        request
    };
    for _ in 0..3 {
        let answer = app.raw(preflight(ORIGIN)).await;
        assert_eq!(answer.status, 200, "CORS is outside of the rate limit");
        assert_eq!(raw(&answer, "access-control-allow-origin").as_deref(), Some(ORIGIN));
        let allowed = raw(&answer, "access-control-allow-headers").unwrap();
        assert!(allowed.contains("idempotency-key"), "{allowed}");
    }
    let stranger = app.raw(preflight("https://evil.example")).await;
    assert_eq!(raw(&stranger, "access-control-allow-origin"), None);
    let nobody = TestApp::new().await.raw(preflight(ORIGIN)).await;
    assert_eq!(raw(&nobody, "access-control-allow-origin"), None, "none are set");
}

#[tokio::test]
async fn long_answers_are_compressed_and_what_has_a_tag_is_not() {
    let app = TestApp::new().await;
    let mut ids = BTreeSet::new();
    for number in 0..20 {
        ids.insert(app.list(&format!("MUG-{number}"), 1_250, "EUR").await);
    }
    app.project().await;
    let compressed = |address: &str| {
        let mut request = request(Method::GET, address);
        request.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
        request
    };
    let list = app.bytes(compressed("/v1/products?limit=200")).await;
    assert_eq!(list.0["content-encoding"], "gzip");
    let plain = app.bytes(request(Method::GET, "/v1/products?limit=200")).await;
    assert!(!plain.0.contains_key("content-encoding"));
    assert!(list.1.len() * 3 < plain.1.len(), "{} of {}", list.1.len(), plain.1.len());
    let one = app.bytes(compressed(&format!("/v1/products/{}", ids.first().unwrap()))).await;
    assert!(one.0.contains_key("etag") && !one.0.contains_key("content-encoding"));
}
