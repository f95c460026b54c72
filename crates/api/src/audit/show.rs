//! `GET /v1/audit/events/{id}`: one event.

use application::audit::EventRecord;
use axum::Json;
use axum::extract::State;
use eventstore::{EventId, EventStore};

use crate::operation::{Operation, Parameter};
use crate::parameters::Parameters;
use crate::params::Path;
use crate::principal::Permission;
use crate::problem::{Code, Problem};

pub(super) fn operation() -> Operation {
    Operation::query("showEvent", "One event", Permission::Audit)
        .takes(Parameter::id("The event."))
        .shows::<EventRecord>("The event.", super::example())
        .refused_as(&[Code::NotFound])
}

pub(super) async fn show(
    State(store): State<EventStore>,
    Path(id): Path<EventId>,
    parameters: Parameters,
) -> Result<Json<EventRecord>, Problem> {
    parameters.only(&[])?;
    let event = store.event(id).await?;
    let event = event.ok_or_else(|| Problem::new(Code::NotFound, "No event has this id."))?;
    Ok(Json(event.try_into()?))
}
