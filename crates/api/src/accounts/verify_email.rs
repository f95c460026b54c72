//! `POST /v1/email-verifications`: prove an address by what was mailed to it.

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

/// What was mailed.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "VerifyEmail", deny_unknown_fields)]
pub(super) struct Request {
    token: SecretText,
}

impl Shape for Request {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { token: fields.value("token")? })
    }
}

pub(super) fn operation() -> Operation {
    let example = json!({"token": "anv_2cWQ0m5mJ0yHk8n1rXo3vG7tLz9bQ4eA6dF1hK2pS8U"});
    // A token is used once.
    let key = Key::Optional;
    Operation::command("verifyEmail", "Prove an address", Permission::EnterAccount, key)
        .with_body::<Request>(example)
        .changes("The address is the user's own.")
        .refused_as(&[Code::TokenRefused, Code::EmailTaken, Code::Rejected])
}

pub(super) async fn verify(
    State(identity): State<Identity>,
    CommandOrigin(origin): CommandOrigin,
    Body(Request { token: SecretText(token) }): Body<Request>,
) -> Result<Changed, Problem> {
    let receipt = identity.verify_email(&origin, &token).await?;
    Ok(Changed { category: USER, receipt })
}

pub(super) fn request_operation() -> Operation {
    let summary = "Mail once more what proves an address";
    Operation::exchange("requestVerification", summary, Permission::EnterAccount)
        .with_body::<ForAddress>(example_address())
        .accepts("If there is something to prove, mail is on its way.")
}

pub(super) async fn request(
    State(identity): State<Identity>,
    CommandOrigin(origin): CommandOrigin,
    Body(ForAddress { email }): Body<ForAddress>,
) -> StatusCode {
    identity.request_verification(origin, email);
    StatusCode::ACCEPTED
}
