//! The API keys of users, for operators.

use application::identity::Identity;
use axum::Json;
use axum::extract::State;
use domain::identity::API_KEY;
use domain::ids::{ApiKeyId, UserId};
use serde_json::json;

use super::{ListBody, example};
use crate::layers::Key;
use crate::operation::{Operation, Parameter};
use crate::origin::CommandOrigin;
use crate::params::Path;
use crate::principal::Permission;
use crate::problem::{Code, Problem};
use crate::receipts::Changed;

pub(super) fn list_operation() -> Operation {
    let summary = "The API keys of a user";
    Operation::query("listApiKeysOfUser", summary, Permission::ReadUsers)
        .takes(Parameter::id("The user."))
        .shows::<ListBody>(
            "Those that are not revoked, the newest first; none if there is no such user.",
            json!({"items": [example()]}),
        )
}

pub(super) async fn list(
    State(identity): State<Identity>,
    Path(user): Path<UserId>,
) -> Result<Json<ListBody>, Problem> {
    Ok(Json(ListBody::of(identity.api_keys(user).await?)))
}

pub(super) fn revoke_operation() -> Operation {
    let (summary, manage) = ("End an API key of a user", Permission::ManageUsers);
    let schema = json!({"type": "string", "format": "uuid"});
    let example = json!("01943c5e-b1d4-7a80-8c11-5e2f7a9d0b66");
    Operation::command("revokeApiKeyOfUser", summary, manage, Key::Optional)
        .takes(Parameter::id("The user."))
        .takes(Parameter::path("key", "The key.", schema, example))
        .changes("It lets nobody in any more, within a second.")
        .refused_as(&[Code::NotFound, Code::InvalidParameter])
}

pub(super) async fn revoke(
    State(identity): State<Identity>,
    Path((user, key)): Path<(UserId, ApiKeyId)>,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let receipt = identity.revoke_api_key(&origin, (user, key)).await?;
    Ok(Changed { category: API_KEY, receipt })
}
