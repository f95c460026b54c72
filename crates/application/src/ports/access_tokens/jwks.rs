//! Keys as they are published.

use schemars::JsonSchema;
use serde::Serialize;

use super::{KeyId, VerificationKey};

/// A set of public keys (RFC 7517).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Jwks {
    /// The keys.
    pub keys: Vec<Jwk>,
}

/// A public key (RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Jwk {
    /// The family of keys: `OKP`.
    pub kty: &'static str,
    /// The curve: `Ed25519`.
    pub crv: &'static str,
    /// What is signed with it: `EdDSA`.
    pub alg: &'static str,
    /// What it is used for: `sig`, signatures.
    #[serde(rename = "use")]
    pub usage: &'static str,
    /// Its name, as tokens give it.
    pub kid: KeyId,
    /// The key, in base64url.
    pub x: String,
}

impl Jwk {
    /// The public half of `key`.
    #[must_use]
    pub fn of(key: &VerificationKey) -> Self {
        Self {
            kty: "OKP",
            crv: "Ed25519",
            alg: "EdDSA",
            usage: "sig",
            kid: key.id().clone(),
            x: key.public().encoded(),
        }
    }
}
