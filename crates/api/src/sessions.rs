//! `/v1/sessions`: coming in, and staying in.

mod external;
mod jwks;
mod log_in;
mod refresh;

use std::net::IpAddr;

use application::identity::Tokens;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chrono::{DateTime, Utc};
use domain::ids::{SessionId, UserId};
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde_json::{Value, json};

use crate::forwarded::ClientAddress;
use crate::operation::{Answer, Content, Operation, schema_of};
use crate::routes::Routes;

/// Most characters that are kept of what a client says that it is.
const MOST: usize = 200;

pub(crate) fn routes() -> Routes {
    Routes::default()
        .post("/v1/sessions", log_in::operation(), log_in::log_in)
        .post("/v1/sessions/refresh", refresh::operation(), refresh::refresh)
        .get("/v1/sessions/external", external::list_operation(), external::list)
        .post("/v1/sessions/external/{provider}", external::begin_operation(), external::begin)
        .post(
            "/v1/sessions/external/{provider}/complete",
            external::complete_operation(),
            external::complete,
        )
        .get("/.well-known/jwks.json", jwks::operation(), jwks::show)
}

/// What lets the client in.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Tokens")]
struct TokensBody<'a> {
    session_id: SessionId,
    user_id: UserId,
    /// Always `Bearer`.
    token_type: &'static str,
    /// For `Authorization`.
    access_token: &'a str,
    /// When it is over.
    access_token_expires_at: DateTime<Utc>,
    /// For `POST /v1/sessions/refresh`, once.
    refresh_token: &'a str,
}

/// From where somebody comes in: the network address, and what the client says that it is.
fn client(
    address: Option<Extension<ClientAddress>>,
    headers: &HeaderMap,
) -> (Option<IpAddr>, Option<String>) {
    let address = address.map(|Extension(ClientAddress(address))| address);
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    (address, agent.map(|agent| agent.chars().take(MOST).collect()))
}

/// Answers with `tokens`, which nobody is to keep on the way.
fn answer(status: StatusCode, tokens: &Tokens) -> Response {
    let body = TokensBody {
        session_id: tokens.session,
        user_id: tokens.user,
        token_type: "Bearer",
        access_token: tokens.access.expose_secret(),
        access_token_expires_at: tokens.access_expires_at,
        refresh_token: tokens.refresh.expose_secret(),
    };
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `operation`, which answers with tokens.
fn gives_tokens(operation: Operation, status: StatusCode, description: &'static str) -> Operation {
    let content = Content {
        media_type: "application/json",
        schema: schema_of::<TokensBody<'_>>,
        example: example(),
    };
    operation.answers_with(Answer {
        status,
        description,
        headers: Vec::new(),
        content: Some(content),
    })
}

fn example() -> Value {
    json!({
        "session_id": "01943c5e-9a31-7e20-9b66-1d4c0e2f5a33",
        "user_id": "01943c5e-8f22-7d10-8a55-0c3b9d1e4f22",
        "token_type": "Bearer",
        "access_token": "eyJ0eXAiOiJhdCtqd3QiLCJhbGciOiJFZERTQSJ9.e30.c2lnbmF0dXJl",
        "access_token_expires_at": "2026-11-21T10:20:30Z",
        "refresh_token": "anr_AZQ8Xpoxfi2bZh1MDi9aMwAAAAFyZWZyZXNo",
    })
}
