//! `/v1/me/organizations` and `/v1/me/invitations`: to what one belongs, and is invited.

use application::organizations::Organizations;
use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::ids::{InvitationId, OrganizationId, UserId};
use domain::organizations::ORGANIZATION;
use projections::organizations::{ORGANIZATIONS, of_member};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use super::{id, of_owner, organization};
use crate::layers::Key;
use crate::operation::Operation;
use crate::origin::CommandOrigin;
use crate::page::PageBody;
use crate::params::Path;
use crate::principal::{Permission, SignedIn};
use crate::problem::{Code, Problem};
use crate::queries::{MinPosition, Queries};
use crate::receipts::Changed;

const OWN: Permission = Permission::OwnAccount;

/// An organization that one belongs to.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Membership")]
pub(super) struct MembershipBody {
    /// For `Annals-Organization`.
    organization_id: OrganizationId,
    name: String,
    role: String,
}

/// An invitation that waits for one's answer.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "MyInvitation")]
pub(super) struct MyInvitation {
    id: InvitationId,
    organization_id: OrganizationId,
    organization: String,
    role: String,
    invited_by: UserId,
    expires_at: DateTime<Utc>,
}

pub(super) fn list_operation() -> Operation {
    let example = json!({"items": [{
        "organization_id": "01943c5e-a001-7cc0-9d3f-2f6f3f0e8a11",
        "name": "Teapots & Co.",
        "role": "organization-owner",
    }]});
    Operation::query("listMyOrganizations", "The organizations that I belong to", OWN)
        .fresh()
        .shows::<PageBody<MembershipBody>>("By name, at most a thousand.", example)
}

pub(super) async fn list(
    State(queries): State<Queries>,
    signed_in: SignedIn,
    min_position: MinPosition,
) -> Result<Json<PageBody<MembershipBody>>, Problem> {
    let queries = queries.fresh(&ORGANIZATIONS, None, min_position).await?;
    let found = of_member(queries, signed_in.user).await?;
    let items = found.into_iter().map(|membership| MembershipBody {
        organization_id: membership.organization,
        name: membership.name,
        role: membership.role.unwrap_or_else(|| of_owner().as_str().to_owned()),
    });
    Ok(Json(PageBody::whole(items.collect())))
}

pub(super) fn leave_operation() -> Operation {
    Operation::command("leaveOrganization", "Leave an organization", OWN, Key::Optional)
        .takes(organization())
        .changes("You do not belong to it any more, within a second.")
        .refused_as(&[Code::NotFound, Code::Rejected, Code::InvalidParameter])
}

pub(super) async fn leave(
    State(organizations): State<Organizations>,
    signed_in: SignedIn,
    Path(organization): Path<OrganizationId>,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let receipt = organizations.leave(&origin, organization, signed_in.user).await?;
    Ok(Changed { category: ORGANIZATION, receipt })
}

pub(super) fn invitations_operation() -> Operation {
    let example = json!({"items": [{
        "id": "01943c5e-c001-7cc0-9d3f-2f6f3f0e8a11",
        "organization_id": "01943c5e-a001-7cc0-9d3f-2f6f3f0e8a11",
        "organization": "Teapots & Co.",
        "role": "organization-member",
        "invited_by": "01943c5e-8f22-7d10-8a55-0c3b9d1e4f22",
        "expires_at": "2026-11-28T10:15:30.123456Z",
    }]});
    Operation::query("listMyInvitations", "The organizations that I am invited to", OWN)
        .shows::<PageBody<MyInvitation>>(
            "The last to expire first, at most a hundred; none before the address is proved.",
            example,
        )
}

pub(super) async fn invitations(
    State(organizations): State<Organizations>,
    signed_in: SignedIn,
) -> Result<Json<PageBody<MyInvitation>>, Problem> {
    let open = organizations.invitations_of(signed_in.user).await?;
    let items = open.into_iter().map(|invitation| MyInvitation {
        id: invitation.id,
        organization_id: invitation.organization_id,
        organization: invitation.organization.as_str().to_owned(),
        role: invitation.role.as_str().to_owned(),
        invited_by: invitation.invited_by,
        expires_at: invitation.expires_at,
    });
    Ok(Json(PageBody::whole(items.collect())))
}

fn of_mine(operation: Operation) -> Operation {
    operation.takes(id("invitation", "The invitation.")).refused_as(&[
        Code::NotFound,
        Code::Rejected,
        Code::InvalidParameter,
    ])
}

pub(super) fn accept_operation() -> Operation {
    let accept = Operation::command("acceptInvitation", "Become a member", OWN, Key::Optional);
    of_mine(accept).changes("You belong to the organization.")
}

pub(super) async fn accept(
    State(organizations): State<Organizations>,
    signed_in: SignedIn,
    Path(invitation): Path<InvitationId>,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let receipt = organizations.accept(&origin, signed_in.user, invitation).await?;
    Ok(Changed { category: ORGANIZATION, receipt })
}

pub(super) fn decline_operation() -> Operation {
    let summary = "Do not become a member";
    let decline = Operation::command("declineInvitation", summary, OWN, Key::Optional);
    of_mine(decline).changes("The invitation is over.")
}

pub(super) async fn decline(
    State(organizations): State<Organizations>,
    signed_in: SignedIn,
    Path(invitation): Path<InvitationId>,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let receipt = organizations.decline(&origin, signed_in.user, invitation).await?;
    Ok(Changed { category: ORGANIZATION, receipt })
}
