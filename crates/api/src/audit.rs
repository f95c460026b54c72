//! `/v1/audit`: what happened, what was when, and what made it so.

mod browse;
mod difference;
mod history;
mod show;
mod state;

use axum::Router;
use axum::routing::get;
use eventstore::StreamId;

use crate::ApiState;
use crate::page::refused;
use crate::problem::Problem;

pub(crate) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/v1/audit/events", get(browse::browse))
        .route("/v1/audit/events/{id}", get(show::show))
        .route("/v1/audit/streams/{stream}/events", get(history::history))
        .route("/v1/audit/streams/{stream}/state", get(state::state))
        .route("/v1/audit/streams/{stream}/difference", get(difference::difference))
}

fn stream_id(text: &str) -> Result<StreamId, Problem> {
    StreamId::new(text).map_err(|error| refused("stream", error.to_string()))
}
