//! The HTTP surface: resources under `/v1`, problem details, health and metrics.
//!
//! A request passes the [`layers`], then the handler of its route. Whatever goes wrong ends as one
//! [`problem::Problem`] with a stable code. Handlers turn wire types into commands of the bus or
//! queries of the read models, and nothing else. What a route does is declared beside its handler
//! ([`operation`]), and the description of the API is made from that ([`openapi`]).

mod body;
mod cursor;
mod etag;
mod external_login;
mod fixed_text;
mod if_none_match;
mod layers;
mod metrics;
mod money;
mod operation;
mod origin;
mod page;
mod parameters;
mod params;
mod principal;
mod queries;
mod receipts;
mod routes;
mod secret_text;
mod state;
mod trace;

mod explorer;

pub mod feed;
pub mod forwarded;
pub mod openapi;
pub mod ops;
pub mod problem;
pub mod serve;

mod accounts;
mod api_keys;
mod audit;
mod me;
mod orders;
mod organizations;
mod problems;
mod products;
mod projections;
mod roles;
mod sessions;
mod users;

pub use cursor::Cursors;
pub use layers::{InvalidOrigin, Limits, Origins, RateLimit};
pub use metrics::HttpMetrics;
pub use principal::{Grants, Permission, UnknownPermission};
pub use queries::Queries;
pub use state::ApiState;

use axum::Router;

/// The routes of the public API, with all layers.
pub fn router(state: ApiState, metrics: &HttpMetrics, limits: Limits) -> Router {
    let ids = state.ids.clone();
    let anonymous = limits.anonymous.clone();
    let door = layers::Door::new(state.identity.clone(), state.access.clone(), anonymous);
    layers::wrap(routes().into_router().with_state(state), ids, metrics, limits, door)
}

/// Every route, and what it is declared as.
fn routes() -> routes::Routes {
    accounts::routes()
        .and(sessions::routes())
        .and(me::routes())
        .and(api_keys::routes())
        .and(users::routes())
        .and(roles::routes())
        .and(organizations::routes())
        .and(products::routes())
        .and(orders::routes())
        .and(feed::routes())
        .and(audit::routes())
        .and(projections::routes())
        .and(problems::routes())
        .and(openapi::routes())
        .and(explorer::routes())
}
