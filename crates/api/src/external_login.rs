//! What a login at a provider is begun and completed with: the same to come in and to link.

use application::identity::{BegunLogin, CompleteLogin};
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::{Value, json};

use crate::body::{Fields, Shape};
use crate::operation::{Answer, Content, Operation, schema_of};
use crate::problem::Code;
use crate::secret_text::SecretText;

/// A login that was begun. Send the browser to `authorization_url`, and keep the rest where no other
/// page and no other browser gets it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BegunLogin")]
struct Body<'a> {
    /// The page of the provider on which somebody logs in.
    authorization_url: &'a str,
    /// What comes back with the browser: compare it.
    state: &'a str,
    /// What proves that who completes the login has begun it; it goes to nobody else.
    binding: &'a str,
    /// Until when the login can be completed.
    expires_at: DateTime<Utc>,
}

/// What came back with the browser, and what was kept.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "CompleteLogin", deny_unknown_fields)]
pub(crate) struct Completion {
    /// The parameter `code` with which the browser came back.
    code: SecretText,
    /// The parameter `state` with which the browser came back.
    state: SecretText,
    /// As it was told when the login was begun.
    binding: SecretText,
    /// The parameter `iss` with which the browser came back, if there was one.
    iss: Option<String>,
    /// What the device of who has a second factor shows, or a recovery code.
    second_factor: Option<SecretText>,
}

impl Shape for Completion {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (code, state) = (fields.value("code"), fields.value("state"));
        let (binding, iss) = (fields.value("binding"), fields.optional("iss"));
        let second_factor = fields.optional("second_factor");
        Some(Self {
            code: code?,
            state: state?,
            binding: binding?,
            iss: iss?,
            second_factor: second_factor?,
        })
    }
}

impl From<Completion> for CompleteLogin {
    fn from(completion: Completion) -> Self {
        let Completion { code, state, binding, iss, second_factor } = completion;
        let (SecretText(code), SecretText(state), SecretText(binding)) = (code, state, binding);
        let second_factor = second_factor.map(|SecretText(code)| code);
        Self { state, binding, code, issuer: iss, second_factor }
    }
}

/// Answers with `begun`, which nobody is to keep on the way.
pub(crate) fn answer(begun: &BegunLogin) -> Response {
    let body = Body {
        authorization_url: &begun.authorization_url,
        state: begun.state.expose_secret(),
        binding: begun.binding.expose_secret(),
        expires_at: begun.expires_at,
    };
    let mut response = (StatusCode::CREATED, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `operation`, which begins a login.
pub(crate) fn begins(operation: Operation) -> Operation {
    let content = Content {
        media_type: "application/json",
        schema: schema_of::<Body<'_>>,
        example: json!({
            "authorization_url": "https://accounts.google.com/o/oauth2/v2/auth?response_type=code",
            "state": "l8F0rH2cW1pN6yq3TzX4vB7mK9sJ5dQeRaGuYiOhPbM",
            "binding": "Zk3nVt7Xr1QwLm9PyB5sDj2Hc8FgAe6UoKiTxRvNqWE",
            "expires_at": "2026-11-21T10:25:30.123456Z",
        }),
    };
    let answer = Answer {
        status: StatusCode::CREATED,
        description: "The login has begun; it goes on at `authorization_url`.",
        headers: Vec::new(),
        content: Some(content),
    };
    operation.answers_with(answer).refused_as(&[
        Code::NotFound,
        Code::ProviderUnavailable,
        Code::ProviderUntrusted,
    ])
}

/// `operation`, which completes a login.
pub(crate) fn completes(operation: Operation) -> Operation {
    operation.with_body::<Completion>(example()).refused_as(&[
        Code::ExternalLoginRefused,
        Code::ProviderUnavailable,
        Code::ProviderUntrusted,
    ])
}

fn example() -> Value {
    json!({
        "code": "4/0AVG7fiQ1s6KX",
        "state": "l8F0rH2cW1pN6yq3TzX4vB7mK9sJ5dQeRaGuYiOhPbM",
        "binding": "Zk3nVt7Xr1QwLm9PyB5sDj2Hc8FgAe6UoKiTxRvNqWE",
        "iss": "https://accounts.google.com",
    })
}
