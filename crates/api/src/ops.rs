//! For operators: is it alive, is it ready, what does it do. Every role serves these.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use prometheus::{Registry, TextEncoder};
use serde::Serialize;

use crate::serve::Drain;

/// Longest time a check may take.
const CHECK: Duration = Duration::from_secs(2);

/// A part that must work for the process to do its job.
#[derive(Clone)]
pub struct Check {
    /// What it is, for example `postgresql`.
    pub name: String,
    /// Whether requests should go elsewhere while it does not work. A part that is not vital is
    /// shown, but does not make the process unready: commands do not wait for the broker.
    pub vital: bool,
    /// Looks; the error says what is wrong.
    pub probe: Probe,
}

/// Looks at a part.
pub type Probe =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send + Sync>;

/// Brings gauges up to date before they are read.
pub type Refresh = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What operators can ask for.
#[derive(Clone)]
pub struct Ops {
    /// The parts of this process.
    pub checks: Arc<[Check]>,
    /// What is measured.
    pub registry: Registry,
    /// Called before each reading of the metrics.
    pub refresh: Refresh,
    /// Whether the process is on its way out, and so not ready.
    pub drain: Drain,
}

#[derive(Serialize)]
struct Readiness {
    ready: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    draining: bool,
    parts: Vec<PartStatus>,
}

#[derive(Serialize)]
struct PartStatus {
    name: String,
    ok: bool,
    vital: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// `/livez`, `/readyz` and `/metrics`.
pub fn router(ops: Ops) -> Router {
    Router::new()
        .route("/livez", get(async || "alive\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(ops)
}

async fn readyz(State(ops): State<Ops>) -> Response {
    if ops.drain.is_draining() {
        // Whatever the parts say, requests are to go elsewhere; parts that have stopped are not
        // asked.
        let readiness = Readiness { ready: false, draining: true, parts: Vec::new() };
        return (StatusCode::SERVICE_UNAVAILABLE, Json(readiness)).into_response();
    }
    // All at once: several parts that hang take no longer than one.
    let probes: Vec<_> = ops
        .checks
        .iter()
        .map(|check| tokio::spawn(tokio::time::timeout(CHECK, (check.probe)())))
        .collect();
    let mut parts = Vec::with_capacity(probes.len());
    for (Check { name, vital, .. }, probe) in ops.checks.iter().zip(probes) {
        let error = match probe.await {
            Ok(Ok(outcome)) => outcome.err(),
            Ok(Err(_elapsed)) => Some("no answer in time".to_owned()),
            Err(_panicked) => Some("could not be looked at".to_owned()),
        };
        parts.push(PartStatus { name: name.clone(), ok: error.is_none(), vital: *vital, error });
    }
    let ready = parts.iter().all(|part| part.ok || !part.vital);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, draining: false, parts })).into_response()
}

async fn metrics(State(ops): State<Ops>) -> Response {
    (ops.refresh)().await;
    match TextEncoder::new().encode_to_string(&ops.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
