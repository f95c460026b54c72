//! `GET /v1/audit/streams/{stream}/difference`: what changed in an aggregate, and why.

use application::audit::Difference;
use axum::Json;
use axum::extract::State;
use eventstore::EventStore;
use serde_json::json;

use crate::operation::Operation;
use crate::parameters::Parameters;
use crate::params::Path;
use crate::principal::Permission;
use crate::problem::{Code, Problem};

/// Most events of one answer; all of them are at `…/events`.
const MOST: usize = 1_000;

pub(super) fn operation() -> Operation {
    let summary = "What changed in an aggregate between two moments, and why";
    let example = json!({
        "stream": "catalog.product-01943c5e-7b1a-7cc0-9d3f-2f6f3f0e8a11",
        "from": super::example_state(),
        "to": super::example_state(),
        "changes": [{"pointer": "/price/amount", "from": 1250, "to": 990}],
        "events": [super::example()],
        "events_left_out": 0,
    });
    Operation::query("showDifference", summary, Permission::Audit)
        .takes(super::stream_parameter())
        .takes(super::moment_parameter("from", "The earlier moment.").required())
        .takes(super::moment_parameter("to", "The later one.").required())
        .shows::<Difference>("What changed.", example)
        .refused_as(&[Code::NotFound, Code::NotReached])
}

pub(super) async fn difference(
    State(store): State<EventStore>,
    Path(stream): Path<String>,
    parameters: Parameters,
) -> Result<Json<Difference>, Problem> {
    let parameters = parameters.only(&["from", "to"])?;
    let stream = super::stream_id(&stream)?;
    let from = parameters.required("from", str::parse)?;
    let to = parameters.required("to", str::parse)?;
    Ok(Json(application::audit::difference(&store, &stream, (from, to), MOST).await?))
}
