//! `/v1/sessions/external`: log in at a provider.

use application::identity::Identity;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::{Extension, Json};
use domain::values::ProviderName;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::body::{Body, Fields, Shape};
use crate::external_login::{self, Completion};
use crate::forwarded::ClientAddress;
use crate::operation::{Operation, Parameter};
use crate::origin::CommandOrigin;
use crate::params::Path;
use crate::principal::Permission;
use crate::problem::{Code, Problem};

/// Where one can log in.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Providers")]
pub(super) struct Providers {
    items: Vec<Item>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Provider")]
struct Item {
    /// What it is called in addresses.
    name: ProviderName,
    /// What people call it.
    title: String,
}

/// Where the browser comes to after the login.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "BeginLogin", deny_unknown_fields)]
pub(super) struct Begin {
    /// One of those that the operator has allowed.
    redirect_uri: String,
}

impl Shape for Begin {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { redirect_uri: fields.value("redirect_uri")? })
    }
}

pub(super) fn list_operation() -> Operation {
    let example = json!({"items": [{"name": "google", "title": "Google"}]});
    Operation::query("listProviders", "Where one can log in", Permission::EnterAccount)
        .shows::<Providers>("The providers, by name.", example)
}

pub(super) async fn list(State(identity): State<Identity>) -> Json<Providers> {
    let items = identity
        .providers()
        .iter()
        .map(|provider| Item { name: provider.name.clone(), title: provider.title.clone() });
    Json(Providers { items: items.collect() })
}

fn provider() -> Parameter {
    let schema = json!({
        "type": "string", "minLength": 1, "maxLength": 32, "pattern": "^[a-z][a-z0-9_-]*$",
    });
    Parameter::path("provider", "The provider.", schema, json!("google"))
}

pub(super) fn begin_operation() -> Operation {
    let summary = "Begin a login at a provider";
    let operation = Operation::exchange("beginExternalLogin", summary, Permission::EnterAccount)
        .takes(provider())
        .with_body::<Begin>(json!({"redirect_uri": "https://shop.example/login/complete"}))
        .refused_as(&[Code::InvalidParameter]);
    external_login::begins(operation)
}

pub(super) async fn begin(
    State(identity): State<Identity>,
    Path(provider): Path<ProviderName>,
    Body(Begin { redirect_uri }): Body<Begin>,
) -> Result<Response, Problem> {
    let begun = identity.begin_external_login(&provider, &redirect_uri).await?;
    Ok(external_login::answer(&begun))
}

pub(super) fn complete_operation() -> Operation {
    let summary = "Complete a login at a provider";
    let operation = Operation::exchange("completeExternalLogin", summary, Permission::EnterAccount)
        .takes(provider())
        .refused_as(&[Code::InvalidParameter, Code::NotFound])
        .refused_as(&[Code::LoginFailed, Code::AddressNotVouched])
        .refused_as(&[Code::SecondFactorRequired, Code::CodeRefused]);
    let operation = external_login::completes(operation);
    super::gives_tokens(operation, StatusCode::CREATED, "A session has started.")
}

pub(super) async fn complete(
    State(identity): State<Identity>,
    Path(provider): Path<ProviderName>,
    CommandOrigin(origin): CommandOrigin,
    address: Option<Extension<ClientAddress>>,
    headers: HeaderMap,
    Body(completion): Body<Completion>,
) -> Result<Response, Problem> {
    let client = super::client(address, &headers);
    let completion = completion.into();
    let tokens = identity.complete_external_login(&origin, &provider, completion, client).await?;
    Ok(super::answer(StatusCode::CREATED, &tokens))
}
