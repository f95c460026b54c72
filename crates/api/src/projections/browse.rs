//! `GET /v1/projections`: every read model.

use axum::Json;
use axum::extract::State;
use eventstore::EventStore;
use projections::overview::overview;
use serde_json::json;

use super::ProjectionBody;
use crate::operation::Operation;
use crate::page::PageBody;
use crate::parameters::Parameters;
use crate::principal::Permission;
use crate::problem::Problem;

pub(super) fn operation() -> Operation {
    let summary = "How the read models are doing";
    Operation::query("listProjections", summary, Permission::ReadProjections).shows::<PageBody<
        ProjectionBody,
    >>(
        "Every read model.",
        json!({"items": [super::example()]}),
    )
}

pub(super) async fn browse(
    State(store): State<EventStore>,
    parameters: Parameters,
) -> Result<Json<PageBody<ProjectionBody>>, Problem> {
    parameters.only(&[])?;
    let all = overview(&store, projections::ALL).await?;
    Ok(Json(PageBody::whole(all.into_iter().map(ProjectionBody::from).collect())))
}
