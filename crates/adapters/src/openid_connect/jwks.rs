//! The keys of an issuer (RFC 7517), as far as tokens are verified with them.

use application::ports::external_login::Distrust;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, StatusCode};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde::Deserialize;
use url::Url;

use super::Failure;
use super::http_client::Client;

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Es256,
    EdDsa,
}

/// The keys of an issuer; those of other kinds are left out.
#[derive(Default)]
pub(super) struct Keys(Vec<Key>);

pub(super) struct Key {
    id: Option<String>,
    material: Material,
}

enum Material {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// The point, uncompressed.
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    usage: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Asks for the keys at `address`.
pub(super) async fn fetch(client: &Client, address: &Url) -> Result<Keys, Failure> {
    let (status, body) = client.ask(Request::get(address.as_str()), Bytes::new()).await?;
    if status != StatusCode::OK {
        return Err(Distrust::Form.into());
    }
    Ok(Keys::read(&body).ok_or(Distrust::Form)?)
}

impl Algorithm {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "RS256" => Some(Self::Rs256),
            "ES256" => Some(Self::Es256),
            "EdDSA" => Some(Self::EdDsa),
            _ => None,
        }
    }
}

impl Keys {
    pub(super) fn read(json: &[u8]) -> Option<Self> {
        let Set { keys } = serde_json::from_slice(json).ok()?;
        let keys = keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        Some(Self(keys.filter_map(Jwk::key).collect()))
    }

    /// The key of `algorithm` that is called `id`; or the only one, if the token names none.
    pub(super) fn find(&self, algorithm: Algorithm, id: Option<&str>) -> Option<&Key> {
        let mut fitting = self.0.iter().filter(|key| {
            key.algorithm() == algorithm && (id.is_none() || key.id.as_deref() == id)
        });
        fitting.next().filter(|_| fitting.next().is_none())
    }
}

impl Key {
    const fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// Whether it has signed `message`.
    pub(super) fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Rsa { n, e } => RsaPublicKeyComponents { n, e }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
            Material::P256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
                .verify(message, signature)
                .is_ok(),
            Material::Ed25519(point) => {
                UnparsedPublicKey::new(&ED25519, point).verify(message, signature).is_ok()
            }
        }
    }
}

impl Jwk {
    /// The key, if it is one to verify with.
    fn key(self) -> Option<Key> {
        let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_ref()?).ok();
        let curve = self.crv.as_deref().unwrap_or_default();
        let (material, algorithm) = match (self.kty.as_str(), curve) {
            ("RSA", _) => (Material::Rsa { n: bytes(&self.n)?, e: bytes(&self.e)? }, "RS256"),
            ("EC", "P-256") => {
                let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
                let is_point = x.len() == 32 && y.len() == 32;
                (Material::P256(is_point.then(|| [vec![4], x, y].concat())?), "ES256")
            }
            ("OKP", "Ed25519") => (Material::Ed25519(bytes(&self.x)?), "EdDSA"),
            _ => return None,
        };
        let is_for_signatures = self.usage.is_none_or(|usage| usage == "sig");
        let is_for_this = self
            .alg
            .is_none_or(|named| named == algorithm || (algorithm == "EdDSA" && named == "Ed25519"));
        (is_for_signatures && is_for_this).then_some(Key { id: self.kid, material })
    }
}
