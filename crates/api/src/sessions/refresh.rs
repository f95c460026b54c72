//! `POST /v1/sessions/refresh`: the next pair of tokens.

use application::identity::Identity;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde_json::json;

use crate::body::{Body, Fields, Shape};
use crate::operation::Operation;
use crate::origin::CommandOrigin;
use crate::principal::Permission;
use crate::problem::{Code, Problem};
use crate::secret_text::SecretText;

/// The token that is replaced.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Refresh", deny_unknown_fields)]
pub(super) struct Request {
    refresh_token: SecretText,
}

impl Shape for Request {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self { refresh_token: fields.value("refresh_token")? })
    }
}

pub(super) fn operation() -> Operation {
    let example = json!({"refresh_token": "anr_AZQ8Xpoxfi2bZh1MDi9aMwAAAAFyZWZyZXNo"});
    let summary = "Replace a refresh token, and get an access token";
    let operation = Operation::exchange("refresh", summary, Permission::EnterAccount)
        .with_body::<Request>(example)
        .refused_as(&[Code::TokenRefused]);
    let description = "The session goes on. A token that was replaced gets the same answer once more, \
                       within a minute; after that it ends the session.";
    super::gives_tokens(operation, StatusCode::OK, description)
}

pub(super) async fn refresh(
    State(identity): State<Identity>,
    CommandOrigin(origin): CommandOrigin,
    Body(Request { refresh_token: SecretText(token) }): Body<Request>,
) -> Result<Response, Problem> {
    let tokens = identity.refresh(&origin, &token).await?;
    Ok(super::answer(StatusCode::OK, &tokens))
}
