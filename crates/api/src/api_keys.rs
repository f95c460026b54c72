//! API keys: one's own under `/v1/me/api-keys`, and those of users, for operators.

mod create;
mod of_users;
mod own;
mod rotate;

use application::identity::{ApiKeyShown, GivenApiKey};
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use domain::identity::{API_KEY, Grant};
use domain::ids::ApiKeyId;
use schemars::JsonSchema;
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::{Value, json};

use crate::receipts;
use crate::routes::Routes;

const OWN: &str = "/v1/me/api-keys";

pub(crate) fn routes() -> Routes {
    Routes::default()
        .post(OWN, create::operation(), create::create)
        .get(OWN, own::list_operation(), own::list)
        .get("/v1/me/api-keys/{id}", own::show_operation(), own::show)
        .delete("/v1/me/api-keys/{id}", own::revoke_operation(), own::revoke)
        .post("/v1/me/api-keys/{id}/rotate", rotate::operation(), rotate::rotate)
        .get("/v1/users/{id}/api-keys", of_users::list_operation(), of_users::list)
        .delete("/v1/users/{id}/api-keys/{key}", of_users::revoke_operation(), of_users::revoke)
}

/// API keys.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiKeys")]
struct ListBody {
    items: Vec<KeyBody>,
}

/// What lets a program in on behalf of a user.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ApiKey")]
struct KeyBody {
    id: ApiKeyId,
    /// Null once it is erased.
    name: Option<String>,
    /// What may be done with it, as long as its owner may.
    grants: Vec<Grant>,
    created_at: DateTime<Utc>,
    /// When it is over; null if it has no end.
    expires_at: Option<DateTime<Utc>>,
    /// When it got the secret that it has; null if that is the first.
    rotated_at: Option<DateTime<Utc>>,
    /// Until when a secret of before lets in; null if none does.
    previous_until: Option<DateTime<Utc>>,
    /// In which minute it was last used; null if never. It may take another minute to appear.
    used_at: Option<DateTime<Utc>>,
}

impl From<ApiKeyShown> for KeyBody {
    fn from(key: ApiKeyShown) -> Self {
        let ApiKeyShown { id, name, grants, created_at, expires_at, .. } = key;
        let ApiKeyShown { rotated_at, previous_until, used_at, .. } = key;
        let grants = grants.into_iter().collect();
        Self { id, name, grants, created_at, expires_at, rotated_at, previous_until, used_at }
    }
}

impl ListBody {
    fn of(keys: Vec<ApiKeyShown>) -> Self {
        Self { items: keys.into_iter().map(KeyBody::from).collect() }
    }
}

/// An API key that was made or got another secret.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "GivenApiKey")]
struct GivenBody<'a> {
    id: ApiKeyId,
    /// For `Authorization: Bearer`. It is told once: null if this is the answer to a repetition.
    api_key: Option<&'a str>,
}

/// Answers with `given`, which nobody is to keep on the way.
fn answer(status: StatusCode, given: &GivenApiKey) -> Response {
    let GivenApiKey { id, secret, receipt } = given;
    let body = GivenBody { id: *id, api_key: secret.as_ref().map(ExposeSecret::expose_secret) };
    let mut response = (status, Json(body)).into_response();
    receipts::tell(response.headers_mut(), receipt, API_KEY);
    response
}

fn given_example() -> Value {
    let key = "annals_01943c5eb1d47a808c115e2f7a9d0b66_\
               AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9nb29k";
    json!({"id": "01943c5e-b1d4-7a80-8c11-5e2f7a9d0b66", "api_key": key})
}

fn grants() -> Value {
    json!([{"permission": "orders.read", "reach": "own"}])
}

fn example() -> Value {
    json!({
        "id": "01943c5e-b1d4-7a80-8c11-5e2f7a9d0b66",
        "name": "Nightly import",
        "grants": grants(),
        "created_at": "2026-11-21T10:15:30.123456Z",
        "expires_at": "2027-11-21T00:00:00Z",
        "rotated_at": null,
        "previous_until": null,
        "used_at": "2026-11-21T10:35:00Z",
    })
}
