//! `GET /v1/projections`: every read model.

use axum::Json;
use axum::extract::State;
use eventstore::EventStore;
use projections::overview::overview;

use super::ProjectionBody;
use crate::page::PageBody;
use crate::parameters::Parameters;
use crate::problem::Problem;

pub(super) async fn browse(
    State(store): State<EventStore>,
    parameters: Parameters,
) -> Result<Json<PageBody<ProjectionBody>>, Problem> {
    parameters.only(&[])?;
    let all = overview(&store, projections::ALL).await?;
    Ok(Json(PageBody::new(all.into_iter().map(ProjectionBody::from).collect(), None)))
}
