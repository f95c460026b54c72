//! One's own API keys.

use application::identity::Identity;
use axum::Json;
use axum::extract::State;
use domain::identity::API_KEY;
use domain::ids::ApiKeyId;
use serde_json::json;

use super::{KeyBody, ListBody, example};
use crate::layers::Key;
use crate::operation::{Operation, Parameter};
use crate::origin::CommandOrigin;
use crate::params::Path;
use crate::principal::{Permission, SignedIn};
use crate::problem::{Code, Problem};
use crate::receipts::Changed;

const OWN: Permission = Permission::OwnAccount;

pub(super) fn list_operation() -> Operation {
    Operation::query("listMyApiKeys", "My API keys", OWN).shows::<ListBody>(
        "Those that are not revoked, the newest first.",
        json!({"items": [example()]}),
    )
}

pub(super) async fn list(
    State(identity): State<Identity>,
    signed_in: SignedIn,
) -> Result<Json<ListBody>, Problem> {
    Ok(Json(ListBody::of(identity.api_keys(signed_in.user).await?)))
}

pub(super) fn show_operation() -> Operation {
    Operation::query("showMyApiKey", "One of my API keys", OWN)
        .takes(Parameter::id("The key."))
        .shows::<KeyBody>("The key.", example())
        .refused_as(&[Code::NotFound])
}

pub(super) async fn show(
    State(identity): State<Identity>,
    signed_in: SignedIn,
    Path(key): Path<ApiKeyId>,
) -> Result<Json<KeyBody>, Problem> {
    let key = identity.api_key(signed_in.user, key).await?;
    let key = key.ok_or_else(|| Problem::new(Code::NotFound, "You have no API key of this id."))?;
    Ok(Json(key.into()))
}

pub(super) fn revoke_operation() -> Operation {
    Operation::command("revokeMyApiKey", "End one of my API keys", OWN, Key::Optional)
        .takes(Parameter::id("The key."))
        .changes("It lets nobody in any more, within a second.")
        .refused_as(&[Code::NotFound, Code::InvalidParameter])
}

pub(super) async fn revoke(
    State(identity): State<Identity>,
    signed_in: SignedIn,
    Path(key): Path<ApiKeyId>,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let receipt = identity.revoke_api_key(&origin, (signed_in.user, key)).await?;
    Ok(Changed { category: API_KEY, receipt })
}
