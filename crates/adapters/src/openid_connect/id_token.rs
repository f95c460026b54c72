//! Reads ID tokens: signed by the issuer, for us, for this very login, and now (`OpenID` Connect Core,
//! section 3.1.3.7).
//!
//! Written out, and not by the library that access tokens are read with: that one asks a provider of
//! cryptography of the whole process, which knows the one algorithm of access tokens and shall know no
//! other.

use application::ports::external_login::{Distrust, PROVIDER_LEEWAY};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use subtle::ConstantTimeEq as _;

use super::jwks::{Algorithm, Keys};

/// The most bytes of a token: what is longer is not looked at.
const MAX_BYTES: usize = 32 * 1024;

/// What a token must say.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    /// Who we are there.
    pub(super) client: &'a str,
    pub(super) nonce: &'a SecretString,
    pub(super) now: DateTime<Utc>,
}

/// What a token says of somebody.
pub(super) struct Claims {
    pub(super) subject: String,
    pub(super) profile: Profile,
}

/// What a provider says of somebody, in a token or at its `UserInfo` endpoint.
#[derive(Deserialize)]
pub(super) struct Profile {
    pub(super) email: Option<String>,
    email_verified: Option<Vouching>,
    name: Option<String>,
    given_name: Option<String>,
    preferred_username: Option<String>,
}

/// Some providers say it in a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Vouching {
    Plain(bool),
    Text(String),
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Body {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: i64,
    iat: i64,
    nonce: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Profile {
    /// Whether the provider vouches for the address.
    pub(super) fn vouches(&self) -> bool {
        match &self.email_verified {
            Some(Vouching::Plain(vouches)) => *vouches,
            Some(Vouching::Text(text)) => text == "true",
            None => false,
        }
    }

    /// What people call the user.
    pub(super) fn name(&self) -> Option<String> {
        let names = [&self.name, &self.given_name, &self.preferred_username];
        names.into_iter().flatten().find(|name| !name.trim().is_empty()).cloned()
    }
}

/// What `token` says, if it is what is `expected` and signed under one of `keys`.
///
/// # Errors
/// [`Distrust::UnknownKey`]: it may be signed under a key that the issuer has published since.
/// Otherwise what is wrong with it.
pub(super) fn verify(
    token: &str,
    keys: &Keys,
    expected: &Expected<'_>,
) -> Result<Claims, Distrust> {
    if token.len() > MAX_BYTES {
        return Err(Distrust::Malformed);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Distrust::Malformed)?;
    let (header, body) = signed.split_once('.').ok_or(Distrust::Malformed)?;
    if body.contains('.') {
        return Err(Distrust::Malformed);
    }
    let header: Header = decode(header)?;
    let algorithm = Algorithm::named(&header.alg).ok_or(Distrust::Algorithm)?;
    if header.crit.is_some() {
        return Err(Distrust::Malformed);
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| Distrust::Malformed)?;
    let key = keys.find(algorithm, header.kid.as_deref()).ok_or(Distrust::UnknownKey)?;
    if !key.has_signed(signed.as_bytes(), &signature) {
        return Err(Distrust::Signature);
    }
    let claims: Body = decode(body)?;
    check(&claims, expected)?;
    Ok(Claims { subject: claims.sub, profile: decode(body)? })
}

fn check(claims: &Body, expected: &Expected<'_>) -> Result<(), Distrust> {
    if claims.iss != expected.issuer {
        return Err(Distrust::Issuer);
    }
    let (is_for_us, is_for_others) = match &claims.aud {
        Audience::One(one) => (one == expected.client, false),
        Audience::Many(many) => (many.iter().any(|one| one == expected.client), many.len() > 1),
    };
    let is_ours = match &claims.azp {
        Some(party) => party == expected.client,
        None => !is_for_others,
    };
    if !is_for_us || !is_ours {
        return Err(Distrust::Audience);
    }
    let (now, leeway) = (expected.now.timestamp(), PROVIDER_LEEWAY.num_seconds());
    if claims.exp.saturating_add(leeway) <= now {
        return Err(Distrust::Expired);
    }
    if claims.iat > now + leeway {
        return Err(Distrust::NotYet);
    }
    let nonce = claims.nonce.as_deref().unwrap_or_default();
    if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.expose_secret().as_bytes())) {
        return Err(Distrust::Nonce);
    }
    if claims.sub.is_empty() {
        return Err(Distrust::Subject);
    }
    Ok(())
}

fn decode<T: DeserializeOwned>(part: &str) -> Result<T, Distrust> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| Distrust::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| Distrust::Malformed)
}

#[cfg(test)]
mod tests;
