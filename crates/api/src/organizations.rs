//! `/v1/organizations`: the tenants, for their members.
//!
//! Routes with an organization in their address are answered by what its members may do in it; whoever
//! does not belong to it learns nothing of it, not even whether it is there.

mod browse;
mod invitations;
mod manage;
mod members;
mod membership;

use domain::identity::RoleName;
use domain::ids::{OrganizationId, UserId};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::operation::{Operation, Parameter};
use crate::problem::{Code, Problem};
use crate::routes::Routes;

pub(crate) fn routes() -> Routes {
    Routes::default()
        .get("/v1/organizations", browse::operation(), browse::browse)
        .post("/v1/organizations", manage::create_operation(), manage::create)
        .get("/v1/organizations/{organization}", manage::show_operation(), manage::show)
        .delete("/v1/organizations/{organization}", manage::close_operation(), manage::close)
        .put("/v1/organizations/{organization}/name", manage::rename_operation(), manage::rename)
        .put(
            "/v1/organizations/{organization}/owner",
            manage::transfer_operation(),
            manage::transfer,
        )
        .get("/v1/organizations/{organization}/members", members::list_operation(), members::list)
        .put(
            "/v1/organizations/{organization}/members/{user}",
            members::change_operation(),
            members::change,
        )
        .delete(
            "/v1/organizations/{organization}/members/{user}",
            members::remove_operation(),
            members::remove,
        )
        .get(
            "/v1/organizations/{organization}/invitations",
            invitations::list_operation(),
            invitations::list,
        )
        .post(
            "/v1/organizations/{organization}/invitations",
            invitations::invite_operation(),
            invitations::invite,
        )
        .delete(
            "/v1/organizations/{organization}/invitations/{invitation}",
            invitations::withdraw_operation(),
            invitations::withdraw,
        )
        .get("/v1/me/organizations", membership::list_operation(), membership::list)
        .delete(
            "/v1/me/organizations/{organization}",
            membership::leave_operation(),
            membership::leave,
        )
        .get("/v1/me/invitations", membership::invitations_operation(), membership::invitations)
        .put(
            "/v1/me/invitations/{invitation}/acceptance",
            membership::accept_operation(),
            membership::accept,
        )
        .delete(
            "/v1/me/invitations/{invitation}",
            membership::decline_operation(),
            membership::decline,
        )
}

/// An organization.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Organization")]
struct OrganizationBody {
    id: OrganizationId,
    name: String,
    owner_id: UserId,
}

fn example() -> Value {
    json!({
        "id": "01943c5e-a001-7cc0-9d3f-2f6f3f0e8a11",
        "name": "Teapots & Co.",
        "owner_id": "01943c5e-8f22-7d10-8a55-0c3b9d1e4f22",
    })
}

fn organization() -> Parameter {
    id("organization", "The organization.")
}

fn id(name: &'static str, description: &'static str) -> Parameter {
    Parameter { name, ..Parameter::id(description) }
}

/// Of one organization: whoever does not belong to it may not.
fn of_one(operation: Operation) -> Operation {
    operation
        .for_organizations()
        .takes(organization())
        .refused_as(&[Code::NotFound, Code::InvalidParameter])
}

fn absent() -> Problem {
    Problem::new(Code::NotFound, "No organization has this id.")
}

/// As what somebody belongs to an organization.
fn role_schema() -> Value {
    json!("organization-member")
}

/// The role of the owner, which nobody else has.
fn of_owner() -> RoleName {
    application::organizations::owner()
}
