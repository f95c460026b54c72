//! What operators ask for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use api::ops::{Check, Ops, Probe};
use api::serve::Drain;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use prometheus::{IntGauge, Registry};

use crate::support::Answer;

fn check(name: &str, vital: bool, outcome: Result<(), &str>) -> Check {
    let outcome = outcome.map_err(ToOwned::to_owned);
    let probe: Probe = Arc::new(move || Box::pin(std::future::ready(outcome.clone())));
    Check { name: name.to_owned(), vital, probe }
}

fn router(checks: Vec<Check>) -> Router {
    let registry = Registry::new();
    let gauge = IntGauge::new("annals_test_refreshes", "How often it was refreshed.").unwrap();
    registry.register(Box::new(gauge.clone())).unwrap();
    let refreshes = Arc::new(AtomicU64::new(0));
    let refresh: api::ops::Refresh = Arc::new(move || {
        let count = refreshes.fetch_add(1, Ordering::Relaxed) + 1;
        gauge.set(count.try_into().unwrap());
        Box::pin(std::future::ready(()))
    });
    api::ops::router(Ops { checks: checks.into(), registry, refresh, drain: Drain::default() })
}

async fn get(router: Router, address: &str) -> Answer {
    Answer::of(router, Request::get(address).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn it_is_alive_whatever_its_parts_are() {
    let answer = get(router(vec![check("postgresql", true, Err("down"))]), "/livez").await;
    assert_eq!((answer.status, answer.body.as_str()), (200, Some("alive\n")));
}

#[tokio::test]
async fn it_is_ready_when_its_vital_parts_are() {
    let parts = vec![
        check("postgresql", true, Ok(())),
        check("relay", false, Err("the broker cannot be reached")),
    ];
    insta::assert_json_snapshot!("ready_without_the_broker", get(router(parts), "/readyz").await);
    let parts =
        vec![check("postgresql", true, Err("cannot be reached")), check("relay", false, Ok(()))];
    insta::assert_json_snapshot!("not_ready", get(router(parts), "/readyz").await);
    assert_eq!(get(router(Vec::new()), "/readyz").await.status, 200);
}

#[tokio::test]
async fn parts_that_hang_do_not_make_readiness_hang() {
    let hanging = |name: &str| {
        let probe: Probe = Arc::new(|| Box::pin(std::future::pending()));
        Check { name: name.to_owned(), vital: true, probe }
    };
    let parts = vec![hanging("a"), check("b", true, Ok(())), hanging("c")];
    insta::assert_json_snapshot!(get(router(parts), "/readyz").await);
}

#[tokio::test]
async fn metrics_are_brought_up_to_date_before_they_are_read() {
    let router = router(Vec::new());
    for count in 1..3 {
        let answer = get(router.clone(), "/metrics").await;
        assert_eq!(answer.status, 200);
        assert!(answer.headers["content-type"].starts_with("text/plain; version=0.0.4"));
        let text = answer.body.as_str().unwrap();
        assert!(text.contains(&format!("\nannals_test_refreshes {count}\n")), "{text}");
        assert!(text.contains("# HELP annals_test_refreshes How often"), "{text}");
    }
}
