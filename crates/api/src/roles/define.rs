//! `PUT /v1/roles/{role}`: say what a role grants.

use std::collections::BTreeSet;

use application::identity::Identity;
use axum::Extension;
use axum::extract::State;
use domain::identity::{Grant, ROLE, RoleName};
use schemars::JsonSchema;
use serde_json::json;

use crate::body::{Body, Fields, Shape};
use crate::layers::Key;
use crate::operation::Operation;
use crate::origin::CommandOrigin;
use crate::params::Path;
use crate::principal::{Permission, Principal};
use crate::problem::{Code, Problem};
use crate::receipts::Changed;

/// What it grants.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "DefineRole", deny_unknown_fields)]
pub(super) struct Request {
    /// At most 100.
    #[schemars(length(max = 100))]
    grants: Vec<Grant>,
}

impl Shape for Request {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let grants = super::read_grants(fields)?;
        Some(Self { grants })
    }
}

pub(super) fn operation() -> Operation {
    let summary = "Make a role, or say anew what it grants";
    Operation::command("defineRole", summary, Permission::ManageRoles, Key::Optional)
        .takes(super::name())
        .with_body::<Request>(json!({"grants": super::grants()}))
        .changes("Whoever has the role may do this, within a second.")
        .refused_as(&[Code::InvalidParameter])
}

pub(super) async fn define(
    State(identity): State<Identity>,
    Extension(principal): Extension<Principal>,
    Path(role): Path<RoleName>,
    CommandOrigin(origin): CommandOrigin,
    Body(Request { grants }): Body<Request>,
) -> Result<Changed, Problem> {
    principal.check_grants(&grants)?;
    let grants: BTreeSet<_> = grants.into_iter().collect();
    let receipt = identity.define_role(&origin, role, grants).await?;
    Ok(Changed { category: ROLE, receipt })
}

pub(super) fn remove_operation() -> Operation {
    let summary = "Take a role away from everybody";
    Operation::command("removeRole", summary, Permission::ManageRoles, Key::Optional)
        .takes(super::name())
        .changes("Nobody may do anything by it, within a second.")
        .refused_as(&[Code::InvalidParameter, Code::NotFound])
}

pub(super) async fn remove(
    State(identity): State<Identity>,
    Path(role): Path<RoleName>,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let receipt = identity.remove_role(&origin, role).await?;
    Ok(Changed { category: ROLE, receipt })
}
