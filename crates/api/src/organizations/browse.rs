//! `GET /v1/organizations`: all of them, for operators.

use axum::Json;
use axum::extract::State;
use projections::Tenant;
use projections::organizations::{Listing, ORGANIZATIONS};
use serde_json::json;

use super::{OrganizationBody, example};
use crate::cursor::Cursors;
use crate::operation::Operation;
use crate::page::{Page, PageBody};
use crate::parameters::Parameters;
use crate::principal::Permission;
use crate::problem::Problem;
use crate::queries::{MinPosition, Queries};

pub(super) fn operation() -> Operation {
    let summary = "All organizations, the newest first, page by page";
    Operation::query("listOrganizations", summary, Permission::ReadOrganizations)
        .paged()
        .fresh()
        .shows::<PageBody<OrganizationBody>>(
        "Some of the organizations that are not closed.",
        json!({"items": [example()]}),
    )
}

pub(super) async fn browse(
    State(queries): State<Queries>,
    State(cursors): State<Cursors>,
    min_position: MinPosition,
    parameters: Parameters,
) -> Result<Json<PageBody<OrganizationBody>>, Problem> {
    let parameters = parameters.only(&["limit", "cursor"])?;
    let page = Page::of(&parameters, &cursors)?;
    let queries = queries.fresh(&ORGANIZATIONS, None, min_position).await?;
    // The route is for who may see all of them.
    let listing = Listing { tenant: Tenant::All };
    let found = projections::organizations::list(queries, listing, page.after, page.limit).await?;
    let items = found.organizations.into_iter().map(|known| OrganizationBody {
        id: known.id,
        name: known.name,
        owner_id: known.owner,
    });
    page.holds(items.collect(), found.next).map(Json)
}
