//! `GET /v1/audit/streams/{stream}/state`: what an aggregate was.

use application::audit::StateAt;
use axum::Json;
use axum::extract::State;
use eventstore::{EventStore, StreamId};
use schemars::JsonSchema;
use serde::Serialize;

use crate::operation::Operation;
use crate::parameters::Parameters;
use crate::params::Path;
use crate::principal::Permission;
use crate::problem::{Code, Problem};

/// What an aggregate was.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "StateOfStream")]
pub(super) struct Body {
    #[schemars(with = "String")]
    stream: StreamId,
    #[serde(flatten)]
    at: StateAt,
}

pub(super) fn operation() -> Operation {
    let mut example = super::example_state();
    example["stream"] = "catalog.product-01943c5e-7b1a-7cc0-9d3f-2f6f3f0e8a11".into();
    Operation::query("showState", "What an aggregate was", Permission::Audit)
        .takes(super::stream_parameter())
        .takes(super::moment_parameter("as_of", "When; now without it."))
        .shows::<Body>("What the next decision would have been made on.", example)
        .refused_as(&[Code::NotFound, Code::NotReached])
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
