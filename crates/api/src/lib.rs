//! The HTTP surface: resources under `/v1`, problem details, health and metrics.
//!
//! A request passes, from the outside in: request id, observation (span, metrics, one log line),
//! panic recovery, deadline, body limit, handler ([`layers`]). Whatever goes wrong ends as one
//! [`problem::Problem`] with a stable code. Handlers turn wire types into commands of the bus or
//! queries of the read models, and nothing else.

mod body;
mod created;
mod layers;
mod metrics;
mod money;
mod origin;
mod page;
mod parameters;
mod params;
mod queries;
mod state;

pub mod feed;
pub mod ops;
pub mod problem;

mod audit;
mod orders;
mod problems;
mod products;
mod projections;

pub use layers::Limits;
pub use metrics::HttpMetrics;
pub use queries::Queries;
pub use state::ApiState;

use axum::Router;

/// The routes of the public API, with all layers.
pub fn router(state: ApiState, metrics: &HttpMetrics, limits: Limits) -> Router {
    let ids = state.ids.clone();
    let routes = Router::new()
        .merge(products::routes())
        .merge(orders::routes())
        .merge(audit::routes())
        .merge(projections::routes())
        .merge(feed::routes())
        .merge(problems::routes())
        .with_state(state);
    layers::wrap(routes, ids, metrics, limits)
}
