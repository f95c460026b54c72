//! `/v1/organizations/{organization}/invitations`: who is invited to it.

use application::organizations::Organizations;
use axum::extract::State;
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use domain::identity::RoleName;
use domain::ids::{InvitationId, OrganizationId, UserId};
use domain::organizations::ORGANIZATION;
use domain::values::Email;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use super::members::check;
use super::{absent, id, of_one, role_schema};
use crate::body::{Body, Fields, Shape};
use crate::layers::Key;
use crate::operation::Operation;
use crate::origin::CommandOrigin;
use crate::page::PageBody;
use crate::params::Path;
use crate::principal::{Permission, Principal, SignedIn};
use crate::problem::{Code, Problem};
use crate::receipts::{self, Changed, Created};

/// An invitation that waits for an answer, or is over without one.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Invitation")]
pub(super) struct InvitationBody {
    id: InvitationId,
    /// Null once it is erased.
    email: Option<String>,
    role: RoleName,
    invited_by: UserId,
    expires_at: DateTime<Utc>,
}

/// Whom, and as what.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "InviteMember", deny_unknown_fields)]
pub(super) struct Invite {
    email: Email,
    role: RoleName,
}

impl Shape for Invite {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (email, role) = (fields.value("email"), fields.value("role"));
        Some(Self { email: email?, role: role? })
    }
}

const MANAGE: Permission = Permission::ManageOrganizations;

fn example() -> Value {
    json!({
        "id": "01943c5e-c001-7cc0-9d3f-2f6f3f0e8a11",
        "email": "grace@example.org",
        "role": "organization-member",
        "invited_by": "01943c5e-8f22-7d10-8a55-0c3b9d1e4f22",
        "expires_at": "2026-11-28T10:15:30.123456Z",
    })
}

pub(super) fn list_operation() -> Operation {
    let list = Operation::query("listInvitations", "Who is invited to an organization", MANAGE);
    of_one(list).shows::<PageBody<InvitationBody>>(
        "Those without an answer.",
        json!({"items": [example()]}),
    )
}

pub(super) async fn list(
    State(organizations): State<Organizations>,
    Path(id): Path<OrganizationId>,
) -> Result<Json<PageBody<InvitationBody>>, Problem> {
    let charter = organizations.charter(id).await?.ok_or_else(absent)?;
    let items = charter.invitations.into_iter().map(|(id, invitation)| InvitationBody {
        id,
        email: invitation.email.value().map(|email| email.as_str().to_owned()),
        role: invitation.role,
        invited_by: invitation.invited_by,
        expires_at: invitation.expires_at,
    });
    Ok(Json(PageBody::whole(items.collect())))
}

pub(super) fn invite_operation() -> Operation {
    let invite = Operation::command("inviteMember", "Invite somebody", MANAGE, Key::Required);
    of_one(invite)
        .with_body::<Invite>(json!({"email": "grace@example.org", "role": role_schema()}))
        .creates::<receipts::Body<InvitationId>>(
            "Mail is on its way; whoever has proved the address may accept for seven days.",
            json!({"id": "01943c5e-c001-7cc0-9d3f-2f6f3f0e8a11"}),
        )
        .refused_as(&[Code::Rejected])
}

pub(super) async fn invite(
    State(organizations): State<Organizations>,
    Extension(principal): Extension<Principal>,
    Path(organization): Path<OrganizationId>,
    signed_in: SignedIn,
    CommandOrigin(origin): CommandOrigin,
    Body(Invite { email, role }): Body<Invite>,
) -> Result<Created<InvitationId>, Problem> {
    check(&organizations, &principal, &role).await?;
    let by = (organization, signed_in.user);
    let (id, receipt) = organizations.invite(&origin, by, (email, role)).await?;
    let collection = format!("/v1/organizations/{organization}/invitations").into();
    Ok(Created { collection, category: ORGANIZATION, id, receipt })
}

pub(super) fn withdraw_operation() -> Operation {
    let withdraw =
        Operation::command("withdrawInvitation", "Take an invitation back", MANAGE, Key::Optional);
    of_one(withdraw)
        .takes(id("invitation", "The invitation."))
        .changes("Nobody can accept it any more.")
}

pub(super) async fn withdraw(
    State(organizations): State<Organizations>,
    Path((organization, invitation)): Path<(OrganizationId, InvitationId)>,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let receipt = organizations.withdraw(&origin, organization, invitation).await?;
    Ok(Changed { category: ORGANIZATION, receipt })
}
