//! `GET /v1/audit/streams/{stream}/difference`: what changed in an aggregate, and why.

use application::audit::Difference;
use axum::Json;
use axum::extract::State;
use eventstore::EventStore;

use crate::parameters::Parameters;
use crate::params::Path;
use crate::problem::Problem;

/// Most events of one answer; all of them are at `…/events`.
const MOST: usize = 1_000;

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
