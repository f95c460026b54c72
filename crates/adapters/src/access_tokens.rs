//! Access tokens as JWTs (RFC 9068) that are signed with Ed25519.
//!
//! `jsonwebtoken` writes and reads the format and asks [`ed25519`] for signatures. What a token says is
//! compared here: the crate asks the clock of the system itself, and takes an audience that is one of a
//! list. The order is that what costs less or trusts less comes first: length, header, key, signature,
//! and only then what is signed.
//!
//! Of the header nothing is believed but the name of the key, and that must be the name of one there is.
//! The algorithm is not read from it, only compared with the one there is.

mod ed25519;
mod wire;

use application::ports::access_tokens::{
    AccessTokenError, AccessTokens, Claims, KeySet, LEEWAY, MAX_TOKEN_BYTES, Seed, SignError,
    SigningKey, SigningPeriod, VerificationKey,
};
use chrono::{DateTime, Utc};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::SecretString;

use self::wire::WireClaims;

/// The type of the tokens (RFC 9068): so that a JWT that was signed for something else is none of them.
const TYPE: &str = "at+jwt";

/// Signs and verifies the access tokens of one issuer for one audience.
#[derive(Debug, Clone)]
pub struct Jwts {
    issuer: String,
    audience: String,
    validation: Validation,
}

impl Jwts {
    /// Tokens of `issuer` for `audience`, each compared as it is written.
    #[must_use]
    pub fn new(issuer: impl Into<String>, audience: impl Into<String>) -> Self {
        ed25519::install();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        Self { issuer: issuer.into(), audience: audience.into(), validation }
    }

    fn check(
        &self,
        claims: &WireClaims,
        key: &VerificationKey,
        keys: &KeySet,
        now: DateTime<Utc>,
    ) -> Result<(), AccessTokenError> {
        if claims.iss != self.issuer {
            return Err(AccessTokenError::Issuer);
        }
        if claims.aud != self.audience {
            return Err(AccessTokenError::Audience);
        }
        let issued_at = claims.issued_at()?;
        let expires_at = claims.expires_at()?;
        let lifetime = expires_at - issued_at;
        if lifetime > keys.token_lifetime() || !key.period().may_hold(issued_at) {
            return Err(AccessTokenError::Period);
        }
        let not_before = claims.not_before()?.map_or(issued_at, |moment| moment.max(issued_at));
        if now < not_before - LEEWAY {
            return Err(AccessTokenError::NotYet);
        }
        if now >= expires_at + LEEWAY {
            return Err(AccessTokenError::Expired);
        }
        Ok(())
    }
}

impl AccessTokens for Jwts {
    fn signing_key(&self, seed: Seed, period: SigningPeriod) -> Result<SigningKey, SignError> {
        let public = ed25519::public_key(&seed).ok_or(SignError::NoKey)?;
        Ok(SigningKey::new(seed, public, period))
    }

    fn sign(&self, claims: &Claims, key: &SigningKey) -> Result<SecretString, SignError> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(key.id().as_str().to_owned());
        let claims = WireClaims::of(claims, &self.issuer, &self.audience);
        let document = ed25519::document(key.seed());
        let token =
            jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(&*document)).map_err(
                |source| SignError::Failed { key: key.id().clone(), source: source.into() },
            )?;
        if token.len() > MAX_TOKEN_BYTES {
            return Err(SignError::TooLong { bytes: token.len() });
        }
        Ok(token.into())
    }

    fn verify(
        &self,
        token: &str,
        keys: &KeySet,
        now: DateTime<Utc>,
    ) -> Result<Claims, AccessTokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AccessTokenError::TooLong);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| AccessTokenError::Malformed)?;
        if header.alg != Algorithm::EdDSA {
            return Err(AccessTokenError::Algorithm);
        }
        if header.typ.as_deref() != Some(TYPE) {
            return Err(AccessTokenError::Type);
        }
        if header.crit.is_some() {
            return Err(AccessTokenError::CriticalHeader);
        }
        let id = header.kid.ok_or(AccessTokenError::NoKey)?;
        let key = keys.verification_key(&id, now).ok_or(AccessTokenError::UnknownKey)?;
        let public = DecodingKey::from_ed_der(key.public().as_bytes());
        let decoded = jsonwebtoken::decode::<WireClaims>(token, &public, &self.validation);
        let claims = decoded.map_err(|error| refusal(error.kind()))?.claims;
        self.check(&claims, key, keys, now)?;
        claims.into_claims()
    }
}

fn refusal(kind: &ErrorKind) -> AccessTokenError {
    match kind {
        ErrorKind::InvalidSignature => AccessTokenError::Signature,
        _ => AccessTokenError::Malformed,
    }
}

#[cfg(test)]
mod tests;
