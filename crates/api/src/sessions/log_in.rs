//! `POST /v1/sessions`: log in.

use application::identity::{Identity, LogIn};
use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use domain::values::Email;
use schemars::JsonSchema;
use serde_json::json;

use crate::body::{Body, Fields, Shape};
use crate::forwarded::ClientAddress;
use crate::operation::Operation;
use crate::origin::CommandOrigin;
use crate::principal::Permission;
use crate::problem::{Code, Problem};
use crate::secret_text::SecretText;

/// Who wants to come in.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "LogIn", deny_unknown_fields)]
pub(super) struct Request {
    email: Email,
    password: SecretText,
    /// If the user has a second factor: what the device shows, or a code for when it is lost.
    code: Option<SecretText>,
}

impl Shape for Request {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (email, password) = (fields.value("email"), fields.value("password"));
        let code = if fields.has("code") { fields.value("code") } else { Some(None) };
        Some(Self { email: email?, password: password?, code: code? })
    }
}

pub(super) fn operation() -> Operation {
    let example = json!({"email": "ada@example.org", "password": "correct horse battery staple"});
    let operation = Operation::exchange("logIn", "Log in", Permission::EnterAccount)
        .with_body::<Request>(example)
        .refused_as(&[Code::LoginFailed, Code::EmailNotVerified, Code::Busy])
        .refused_as(&[Code::SecondFactorRequired, Code::CodeRefused]);
    super::gives_tokens(operation, StatusCode::CREATED, "A session has started.")
}

pub(super) async fn log_in(
    State(identity): State<Identity>,
    CommandOrigin(origin): CommandOrigin,
    address: Option<Extension<ClientAddress>>,
    headers: HeaderMap,
    Body(request): Body<Request>,
) -> Result<Response, Problem> {
    let Request { email, password: SecretText(password), code } = request;
    let code = code.map(|SecretText(code)| code);
    let (address, agent) = super::client(address, &headers);
    let tokens = identity.log_in(&origin, LogIn { email, password, code, address, agent }).await?;
    Ok(super::answer(StatusCode::CREATED, &tokens))
}
