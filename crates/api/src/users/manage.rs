//! What operators do with users.

use application::identity::Identity;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use domain::identity::{RoleName, USER};
use domain::ids::UserId;
use serde_json::json;

use crate::layers::Key;
use crate::operation::{Operation, Parameter};
use crate::origin::CommandOrigin;
use crate::params::Path;
use crate::principal::{Permission, Principal};
use crate::problem::{Code, Problem};
use crate::receipts::Changed;

/// Done again, each of these does nothing.
pub(super) fn operation(id: &'static str, summary: &'static str, done: &'static str) -> Operation {
    Operation::command(id, summary, Permission::ManageUsers, Key::Optional)
        .takes(Parameter::id("The user."))
        .changes(done)
        .refused_as(&[Code::NotFound, Code::InvalidParameter, Code::Rejected])
}

fn with_role(operation: Operation) -> Operation {
    let schema = json!({"type": "string", "pattern": "^[a-z][a-z0-9-]{0,63}$"});
    operation.takes(Parameter::path("role", "The role.", schema, json!("clerk")))
}

pub(super) fn suspend_operation() -> Operation {
    let done = "The user is kept out until further notice; all sessions are over.";
    operation("suspendUser", "Keep a user out", done)
}

pub(super) async fn suspend(
    State(identity): State<Identity>,
    Path(user): Path<UserId>,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let receipt = identity.suspend(&origin, user).await?;
    Ok(Changed { category: USER, receipt })
}

pub(super) fn reinstate_operation() -> Operation {
    operation("reinstateUser", "Let a user in again", "The user may come in, with a new session.")
}

pub(super) async fn reinstate(
    State(identity): State<Identity>,
    Path(user): Path<UserId>,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let receipt = identity.reinstate(&origin, user).await?;
    Ok(Changed { category: USER, receipt })
}

pub(super) fn close_operation() -> Operation {
    operation("closeUser", "Close an account for good", "Nobody comes in with it any more.")
}

pub(super) async fn close(
    State(identity): State<Identity>,
    Path(user): Path<UserId>,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let receipt = identity.deactivate(&origin, user).await?;
    Ok(Changed { category: USER, receipt })
}

pub(super) fn end_sessions_operation() -> Operation {
    operation("endSessionsOfUser", "Log a user out everywhere", "All sessions are over.")
}

pub(super) async fn end_sessions(
    State(identity): State<Identity>,
    Path(user): Path<UserId>,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let receipt = identity.end_sessions(&origin, user, None).await?;
    Ok(Changed { category: USER, receipt })
}

pub(super) fn unlock_operation() -> Operation {
    let summary = "Let a user try again who failed to log in too often";
    Operation::exchange("unlockUser", summary, Permission::ManageUsers)
        .takes(Parameter::id("The user."))
        .accepts("The next login is not waited for.")
        .refused_as(&[Code::InvalidParameter])
}

pub(super) async fn unlock(
    State(identity): State<Identity>,
    Path(user): Path<UserId>,
) -> Result<StatusCode, Problem> {
    identity.unlock(user).await?;
    Ok(StatusCode::ACCEPTED)
}

pub(super) fn grant_operation() -> Operation {
    let done = "The user has the role; tokens of before have to be refreshed.";
    with_role(operation("grantRole", "Grant a role to a user", done))
}

pub(super) async fn grant(
    State(identity): State<Identity>,
    Extension(principal): Extension<Principal>,
    Path((user, role)): Path<(UserId, RoleName)>,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    // As the log has it, not as this process has heard of it.
    let seen = identity.role(&role).await?.unwrap_or_default();
    principal.check_grants(&seen)?;
    let receipt = identity.grant_role(&origin, user, (role, seen)).await?;
    Ok(Changed { category: USER, receipt })
}

pub(super) fn withdraw_operation() -> Operation {
    let done = "The user has the role no more; tokens of before have to be refreshed.";
    with_role(operation("withdrawRole", "Take a role from a user", done))
}

pub(super) async fn withdraw(
    State(identity): State<Identity>,
    Path((user, role)): Path<(UserId, RoleName)>,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let receipt = identity.withdraw_role(&origin, user, role).await?;
    Ok(Changed { category: USER, receipt })
}
