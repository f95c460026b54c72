//! What every request passes, whatever it asks for.
//!
//! From the outside in: [`request_id`], [`recovery`] from panics, [`observation`] (one line in the
//! log, one span, metrics), compression, [`cors`], [`security_headers`], [`rate_limit`],
//! [`authentication`], deadline and limit of the body; then, of each route by itself, because they
//! need to know what it is declared as, [`authorization`] and [`idempotency`].
//!
//! Who is refused further out costs less: a flood of requests ends at the rate limit, before
//! anything is looked up.

mod accept_encoding;
mod authentication;
mod authorization;
mod cors;
mod deadline;
mod idempotency;
mod observation;
mod rate_limit;
mod recovery;
mod request_id;
mod security_headers;

use std::sync::Arc;
use std::time::Duration;

use application::ports::IdSource;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::{Extension, Router};
use tower::util::option_layer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};

pub(crate) use authentication::Door;
pub(crate) use authorization::{Asked, DoneFor, authorize};
pub use cors::InvalidOrigin;
pub use cors::Origins;
pub(crate) use idempotency::{IdempotencyKey, Key, idempotent};
pub use rate_limit::RateLimit;
pub(crate) use request_id::RequestId;

use crate::metrics::HttpMetrics;
use crate::principal::Grants;
use crate::problem::{Code, Problem};
use idempotency::Running;

/// How much a request may take, and who may send one.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Most bytes of a body.
    pub body_bytes: usize,
    /// Longest time to an answer.
    pub deadline: Duration,
    /// How often one address may ask.
    pub rate: Option<RateLimit>,
    /// Whose pages may ask from a browser.
    pub origins: Origins,
    /// What whoever reaches the listener may do.
    pub anonymous: Grants,
}

/// What is worth to be compressed, in bytes.
const COMPRESSED: u64 = 1_024;

/// Puts the layers around `routes`; the last one added is the first a request meets.
pub(crate) fn wrap(
    routes: Router,
    ids: Arc<dyn IdSource>,
    metrics: &HttpMetrics,
    limits: Limits,
    door: Door,
) -> Router {
    let routes = routes
        .fallback(async || {
            Problem::new(Code::NotFound, "No route of this service has this address.")
        })
        .method_not_allowed_fallback(async |method: Method| {
            Problem::new(Code::MethodNotAllowed, format!("{method} is not possible here."))
        })
        .layer(Extension(Running::default()))
        .layer(Extension(limits.origins.clone()))
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(from_fn_with_state(limits.deadline, deadline::within))
        .layer(from_fn_with_state(door, authentication::authenticate));
    let routes = match limits.rate {
        Some(rate) => routes.layer(from_fn_with_state(rate.start(), rate_limit::limit)),
        None => routes,
    };
    routes
        .layer(from_fn(security_headers::add))
        .layer(option_layer(cors::layer(limits.origins)))
        .layer(CompressionLayer::new().compress_when(worth_compressing()))
        .layer(from_fn(accept_encoding::simplify))
        .layer(from_fn_with_state(metrics.clone(), observation::observe))
        .layer(recovery::layer())
        .layer(from_fn_with_state(ids, request_id::identify))
}

/// What has an entity tag stays as it is: another encoding would be another representation, of
/// another tag.
fn worth_compressing() -> impl Predicate {
    let has_no_tag =
        |_, _, headers: &HeaderMap, _: &http::Extensions| !headers.contains_key(header::ETAG);
    SizeAbove::new(COMPRESSED).and(NotForContentType::SSE).and(has_no_tag)
}

#[cfg(test)]
mod tests;
