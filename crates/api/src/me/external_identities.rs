//! `/v1/me/external-identities`: the identities elsewhere by which one comes in.

use application::identity::{ExternalIdentityShown, Identity, LinkIdentity};
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use chrono::{DateTime, Utc};
use domain::identity::USER;
use domain::values::ProviderName;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::body::{Body, Fields, Shape};
use crate::external_login::{self, Completion};
use crate::layers::Key;
use crate::operation::{Operation, Parameter};
use crate::origin::CommandOrigin;
use crate::params::Path;
use crate::principal::{Permission, SignedIn};
use crate::problem::{Code, Problem};
use crate::receipts::Changed;
use crate::secret_text::SecretText;

const OWN: Permission = Permission::OwnAccount;

/// By which identities the user who asks comes in.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExternalIdentities")]
pub(super) struct Identities {
    items: Vec<Item>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ExternalIdentity")]
struct Item {
    id: Uuid,
    /// What the provider was called when it was linked; null once it is erased.
    provider: Option<ProviderName>,
    linked_at: DateTime<Utc>,
}

/// Where the identity is, where the browser comes to afterwards, and the password of who has one.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "LinkIdentity", deny_unknown_fields)]
pub(super) struct Begin {
    provider: ProviderName,
    /// One of those that the operator has allowed.
    redirect_uri: String,
    password: Option<SecretText>,
}

impl Shape for Begin {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (provider, redirect_uri) = (fields.value("provider"), fields.value("redirect_uri"));
        let password = fields.optional("password");
        Some(Self { provider: provider?, redirect_uri: redirect_uri?, password: password? })
    }
}

pub(super) fn list_operation() -> Operation {
    let example = json!({"items": [{
        "id": "01943c61-0b10-7a44-9c21-5e7f0a3b6c88",
        "provider": "google",
        "linked_at": "2026-11-21T10:15:30.123456Z",
    }]});
    Operation::query("listMyExternalIdentities", "By which identities I come in", OWN)
        .shows::<Identities>("The identities, the first linked first.", example)
}

pub(super) async fn list(
    State(identity): State<Identity>,
    signed_in: SignedIn,
) -> Result<Json<Identities>, Problem> {
    let linked = identity.external_identities(signed_in.user).await?;
    let items = linked.into_iter().map(|linked| {
        let ExternalIdentityShown { id, provider, linked_at } = linked;
        Item { id, provider, linked_at }
    });
    Ok(Json(Identities { items: items.collect() }))
}

pub(super) fn begin_operation() -> Operation {
    let example = json!({
        "provider": "google",
        "redirect_uri": "https://shop.example/account/linked",
        "password": "correct horse battery staple",
    });
    let operation = Operation::exchange("beginLink", "Begin to link an identity", OWN)
        .with_body::<Begin>(example)
        .refused_as(&[Code::LoginFailed, Code::Busy]);
    external_login::begins(operation)
}

pub(super) async fn begin(
    State(identity): State<Identity>,
    SignedIn { user, .. }: SignedIn,
    Body(request): Body<Begin>,
) -> Result<Response, Problem> {
    let Begin { provider, redirect_uri, password } = request;
    let password = password.map(|SecretText(password)| password);
    let asked = LinkIdentity { user, password, provider, redirect_uri };
    Ok(external_login::answer(&identity.begin_link(asked).await?))
}

pub(super) fn complete_operation() -> Operation {
    let operation = Operation::command("completeLink", "Link an identity", OWN, Key::Optional)
        .changes("The user comes in by it as well.")
        .refused_as(&[Code::IdentityTaken, Code::Rejected, Code::NotFound]);
    external_login::completes(operation)
}

pub(super) async fn complete(
    State(identity): State<Identity>,
    signed_in: SignedIn,
    CommandOrigin(origin): CommandOrigin,
    Body(completion): Body<Completion>,
) -> Result<Changed, Problem> {
    let receipt = identity.complete_link(&origin, signed_in.user, completion.into()).await?;
    Ok(Changed { category: USER, receipt })
}

pub(super) fn unlink_operation() -> Operation {
    Operation::command("unlinkIdentity", "Come in by an identity no more", OWN, Key::Optional)
        .takes(Parameter::id("The identity."))
        .changes("It lets nobody in here any more; sessions that were started by it go on.")
        .refused_as(&[Code::NotFound, Code::LastWayIn, Code::Rejected, Code::InvalidParameter])
}

pub(super) async fn unlink(
    State(identity): State<Identity>,
    signed_in: SignedIn,
    Path(id): Path<Uuid>,
    CommandOrigin(origin): CommandOrigin,
) -> Result<Changed, Problem> {
    let receipt = identity.unlink(&origin, signed_in.user, id).await?;
    Ok(Changed { category: USER, receipt })
}
