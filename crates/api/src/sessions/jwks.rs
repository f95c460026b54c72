//! `GET /.well-known/jwks.json`: the keys that access tokens are verified with.

use application::identity::Identity;
use application::ports::access_tokens::Jwks;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, header};
use serde_json::json;

use crate::operation::Operation;
use crate::principal::Permission;

pub(super) fn operation() -> Operation {
    let example = json!({"keys": [{
        "kty": "OKP",
        "crv": "Ed25519",
        "alg": "EdDSA",
        "use": "sig",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    }]});
    let summary = "The keys that access tokens are verified with";
    Operation::query("showKeys", summary, Permission::ReadDescription)
        .shows::<Jwks>("Those in use, and those that are announced.", example)
}

/// Keys are announced longer before than this.
const CACHED: [(HeaderName, &str); 1] = [(header::CACHE_CONTROL, "public, max-age=300")];

pub(super) async fn show(
    State(identity): State<Identity>,
) -> ([(HeaderName, &'static str); 1], Json<Jwks>) {
    (CACHED, Json(identity.jwks()))
}
