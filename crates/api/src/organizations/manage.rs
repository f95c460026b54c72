//! Organizations come, are called something, are somebody's, and go.

use application::organizations::Organizations;
use axum::Json;
use axum::extract::State;
use domain::ids::{OrganizationId, UserId};
use domain::organizations::ORGANIZATION;
use domain::values::OrganizationName;
use schemars::JsonSchema;
use serde_json::json;

use super::{OrganizationBody, absent, example, of_one};
use crate::body::{Body, Fields, Shape};
use crate::layers::Key;
use crate::operation::Operation;
use crate::origin::CommandOrigin;
use crate::params::Path;
use crate::principal::{Permission, SignedIn};
use crate::problem::Problem;
use crate::receipts::{self, Changed, Created};

/// What people shall call it.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "NameOrganization", deny_unknown_fields)]
pub(super) struct Named {
    name: OrganizationName,
}

impl Shape for Named {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { name: fields.value("name")? })
    }
}

/// Whose it shall be.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "TransferOrganization", deny_unknown_fields)]
pub(super) struct Transfer {
    /// A member.
    user_id: UserId,
}

impl Shape for Transfer {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { user_id: fields.value("user_id")? })
    }
}

pub(super) fn create_operation() -> Operation {
    let summary = "Create an organization";
    Operation::command(
        "createOrganization",
        summary,
        Permission::CreateOrganizations,
        Key::Required,
    )
    .for_owners()
    .with_body::<Named>(json!({"name": "Teapots & Co."}))
    .creates::<receipts::Body<OrganizationId>>(
        "It is there, and is of the user who asks.",
        json!({"id": "01943c5e-a001-7cc0-9d3f-2f6f3f0e8a11"}),
    )
}

pub(super) async fn create(
    State(organizations): State<Organizations>,
    signed_in: SignedIn,
    CommandOrigin(origin): CommandOrigin,
    Body(Named { name }): Body<Named>,
) -> Result<Created<OrganizationId>, Problem> {
    let (id, receipt) = organizations.create(&origin, signed_in.user, name).await?;
    let collection = "/v1/organizations".into();
    Ok(Created { collection, category: ORGANIZATION, id, receipt })
}

pub(super) fn show_operation() -> Operation {
    let show =
        Operation::query("showOrganization", "One organization", Permission::ReadOrganizations);
    of_one(show).shows::<OrganizationBody>("The organization.", example())
}

pub(super) async fn show(
    State(organizations): State<Organizations>,
    Path(id): Path<OrganizationId>,
) -> Result<Json<OrganizationBody>, Problem> {
    let charter = organizations.charter(id).await?.ok_or_else(absent)?;
    let name = charter.name.as_str().to_owned();
    Ok(Json(OrganizationBody { id, name, owner_id: charter.owner }))
}

pub(super) fn rename_operation() -> Operation {
    let rename = Operation::command(
        "renameOrganization",
        "Call an organization otherwise",
        Permission::ManageOrganizations,
        Key::Optional,
    );
    of_one(rename)
        .with_body::<Named>(json!({"name": "Teapots, united"}))
        .changes("This is its name now.")
}

pub(super) async fn rename(
    State(organizations): State<Organizations>,
    Path(id): Path<OrganizationId>,
    CommandOrigin(origin): CommandOrigin,
    Body(Named { name }): Body<Named>,
) -> Result<Changed, Problem> {
    let receipt = organizations.rename(&origin, id, name).await?;
    Ok(Changed { category: ORGANIZATION, receipt })
}

pub(super) fn transfer_operation() -> Operation {
    let transfer = Operation::command(
        "transferOrganization",
        "Make an organization another member's",
        Permission::OwnOrganizations,
        Key::Optional,
    );
    of_one(transfer)
        .with_body::<Transfer>(json!({"user_id": "01943c5e-b002-7cc0-9d3f-2f6f3f0e8a11"}))
        .changes("It is that member's; the owner of before stays as an administrator.")
}

pub(super) async fn transfer(
    State(organizations): State<Organizations>,
    Path(id): Path<OrganizationId>,
    CommandOrigin(origin): CommandOrigin,
    Body(Transfer { user_id }): Body<Transfer>,
) -> Result<Changed, Problem> {
    let receipt = organizations.transfer(&origin, id, user_id).await?;
    Ok(Changed { category: ORGANIZATION, receipt })
}

pub(super) fn close_operation() -> Operation {
    let close = Operation::command(
        "closeOrganization",
        "Close an organization for good",
        Permission::OwnOrganizations,
        Key::Optional,
    );
    of_one(close).changes("Nobody belongs to it any more. What happened in it stays.")
}

pub(super) async fn close(
    State(organizations): State<Organizations>,
    Path(id): Path<OrganizationId>,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let receipt = organizations.close(&origin, id).await?;
    Ok(Changed { category: ORGANIZATION, receipt })
}
