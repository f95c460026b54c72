//! `GET /v1/audit/streams/{stream}/state`: what an aggregate was.

use application::audit::StateAt;
use axum::Json;
use axum::extract::State;
use eventstore::{EventStore, StreamId};
use serde::Serialize;

use crate::parameters::Parameters;
use crate::params::Path;
use crate::problem::Problem;

#[derive(Serialize)]
pub(super) struct Body {
    stream: StreamId,
    #[serde(flatten)]
    at: StateAt,
}

pub(super) async fn state(
    State(store): State<EventStore>,
    Path(stream): Path<String>,
    parameters: Parameters,
) -> Result<Json<Body>, Problem> {
    let parameters = parameters.only(&["as_of"])?;
    let stream = super::stream_id(&stream)?;
    let as_of = parameters.one("as_of", str::parse)?;
    let at = application::audit::state(&store, &stream, as_of).await?;
    Ok(Json(Body { stream, at }))
}
