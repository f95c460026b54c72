//! What no route of the API does.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;
use prometheus::Registry;
use tower::ServiceExt;
use uuid::Uuid;

use super::*;

#[derive(Default)]
struct Counted(AtomicU64);

impl IdSource for Counted {
    fn next(&self) -> Uuid {
        Uuid::from_u128(self.0.fetch_add(1, Ordering::Relaxed).into())
    }
}

fn service(routes: Router, deadline: Duration) -> (Router, HttpMetrics) {
    let metrics = HttpMetrics::register(&Registry::new()).unwrap();
    let limits = Limits {
        body_bytes: 1_000,
        deadline,
        rate: None,
        origins: Origins::default(),
        anonymous: Grants::all(),
    };
    let door = Door::without_users(limits.anonymous.clone());
    (wrap(routes, Arc::new(Counted::default()), &metrics, limits, door), metrics)
}

fn counted(metrics: &HttpMetrics, status: &str) -> u64 {
    metrics.requests.with_label_values(&["GET", "/", status]).get()
}

async fn answer(routes: Router, deadline: Duration) -> (Response, String) {
    let (service, metrics) = service(routes, deadline);
    let request = Request::get("/").body(Body::empty()).unwrap();
    let mut response = service.oneshot(request).await.unwrap();
    let body = std::mem::take(response.body_mut());
    let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().into()).unwrap();
    assert_eq!(counted(&metrics, response.status().as_str()), 1, "counted like any other");
    (response, text)
}

#[tokio::test]
async fn a_panic_is_a_problem_that_tells_nothing_of_it() {
    async fn panics() -> Response {
        panic!("secret")
    }
    let panicking = Router::new().route("/", get(panics));
    let (response, text) = answer(panicking, Duration::from_mins(1)).await;
    assert_eq!(response.status(), 500);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    assert!(response.headers().contains_key(request_id::X_REQUEST_ID));
    assert!(text.contains(r#""code":"internal""#), "{text}");
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test]
async fn what_never_ends_is_cut_off_at_the_deadline() {
    let endless = Router::new().route("/", get(std::future::pending::<Response>));
    let (response, text) = answer(endless, Duration::from_millis(1)).await;
    assert_eq!(response.status(), 503);
    assert!(text.contains(r#""code":"deadline-exceeded""#), "{text}");
}

#[tokio::test]
async fn a_client_that_goes_away_is_counted() {
    let endless = Router::new().route("/", get(std::future::pending::<Response>));
    let (service, metrics) = service(endless, Duration::from_mins(1));
    let request = Request::get("/").body(Body::empty()).unwrap();
    let asked = tokio::spawn(service.oneshot(request));
    tokio::task::yield_now().await;
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());
    assert_eq!(counted(&metrics, "499"), 1);
}
