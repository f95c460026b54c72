//! `POST /v1/password-resets`: choose another password instead of one that is forgotten.

use application::identity::Identity;
use axum::extract::State;
use axum::http::StatusCode;
use domain::identity::USER;
use schemars::JsonSchema;
use serde_json::json;

use super::{ForAddress, example_address};
use crate::body::{Body, Fields, Shape};
use crate::layers::Key;
use crate::operation::Operation;
use crate::origin::CommandOrigin;
use crate::principal::Permission;
use crate::problem::{Code, Problem};
use crate::receipts::Changed;
use crate::secret_text::SecretText;

/// What was mailed, and the password from now on.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "ResetPassword", deny_unknown_fields)]
pub(super) struct Request {
    token: SecretText,
    /// 12 to 128 characters, and none of those that everybody takes.
    password: SecretText,
}

impl Shape for Request {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (token, password) = (fields.value("token"), fields.value("password"));
        Some(Self { token: token?, password: password? })
    }
}

pub(super) fn operation() -> Operation {
    let example = json!({
        "token": "anp_2cWQ0m5mJ0yHk8n1rXo3vG7tLz9bQ4eA6dF1hK2pS8U",
        "password": "correct horse battery staple",
    });
    // A token is used once.
    let key = Key::Optional;
    Operation::command("resetPassword", "Choose another password", Permission::EnterAccount, key)
        .with_body::<Request>(example)
        .changes("It is the password now, and all sessions are over.")
        .refused_as(&[Code::TokenRefused, Code::WeakPassword, Code::Rejected, Code::Busy])
}

pub(super) async fn reset(
    State(identity): State<Identity>,
    CommandOrigin(origin): CommandOrigin,
    Body(request): Body<Request>,
) -> Result<Changed, Problem> {
    let Request { token: SecretText(token), password: SecretText(password) } = request;
    let receipt = identity.reset_password(&origin, &token, &password).await?;
    Ok(Changed { category: USER, receipt })
}

pub(super) fn request_operation() -> Operation {
    let summary = "Mail what lets choose another password";
    Operation::exchange("requestPasswordReset", summary, Permission::EnterAccount)
        .with_body::<ForAddress>(example_address())
        .accepts("If the address has an account, mail is on its way.")
}

pub(super) async fn request(
    State(identity): State<Identity>,
    CommandOrigin(origin): CommandOrigin,
    Body(ForAddress { email }): Body<ForAddress>,
) -> StatusCode {
    identity.request_password_reset(origin, email);
    StatusCode::ACCEPTED
}
