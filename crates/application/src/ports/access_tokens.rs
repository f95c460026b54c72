//! Access tokens: who asks, told for some minutes by a signature instead of a query.
//!
//! A token is signed by the one key that signs at that moment and accepted under each key that has
//! signed a token which may still be valid: [`KeySet`] says which those are. What became stale since a
//! token was issued is not in it; it tells at which position of the log it was issued, and whoever
//! follows the log knows what came after.
//!
//! Here are the types; signatures and the format of the text are the adapter's.

mod jwks;
mod key;
mod key_set;
mod rotation;

use chrono::{DateTime, TimeDelta, Utc};
use eventstore::Position;
use secrecy::SecretString;
use uuid::Uuid;

pub use jwks::{Jwk, Jwks};
pub use key::{KeyId, PublicKey, Seed, SigningKey, SigningPeriod, VerificationKey};
pub use key_set::KeySet;
pub use rotation::Rotation;

/// By how much the clocks of two processes may differ.
pub const LEEWAY: TimeDelta = TimeDelta::seconds(5);

/// The most bytes of a token: what is longer is not looked at.
pub const MAX_TOKEN_BYTES: usize = 4 * 1024;

/// Signs access tokens and checks them. Issuer and audience are the adapter's, so that no caller can
/// forget to compare them.
pub trait AccessTokens: Send + Sync {
    /// The key that `seed` makes, to sign with in `period`. The same seed makes the same key.
    ///
    /// # Errors
    /// The seed makes none.
    fn signing_key(&self, seed: Seed, period: SigningPeriod) -> Result<SigningKey, SignError>;

    /// The token that says `claims`. Times are told in whole seconds, parts of them are dropped.
    ///
    /// # Errors
    /// [`SignError::TooLong`]: there are too many roles in it.
    fn sign(&self, claims: &Claims, key: &SigningKey) -> Result<SecretString, SignError>;

    /// What `token` says, if it was signed under one of `keys` for this issuer and audience and is
    /// valid `now`.
    ///
    /// # Errors
    /// As [`AccessTokenError`] says. The client is told none of it but that the token is refused.
    fn verify(
        &self,
        token: &str,
        keys: &KeySet,
        now: DateTime<Utc>,
    ) -> Result<Claims, AccessTokenError>;
}

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who asks (`sub`).
    pub user: Uuid,
    /// The session in which the token was issued (`sid`).
    pub session: Uuid,
    /// The token itself (`jti`).
    pub id: Uuid,
    /// When it was issued (`iat`).
    pub issued_at: DateTime<Utc>,
    /// From when on it is over (`exp`).
    pub expires_at: DateTime<Utc>,
    /// How far the log had come (`pos`): what makes the token stale is behind that.
    pub position: Position,
    /// The names of the roles of the user (`roles`).
    pub roles: Vec<String>,
    /// The organization on behalf of which is asked, if any (`org`).
    pub organization: Option<Uuid>,
}

/// Why a token could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// It would not be accepted.
    #[error("the token would have {bytes} bytes, at most {MAX_TOKEN_BYTES} are accepted")]
    TooLong {
        /// How long it would be.
        bytes: usize,
    },
    /// The key cannot sign.
    #[error("sign an access token under key {key}")]
    Failed {
        /// The key.
        key: KeyId,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What was to become a key is none.
    #[error("the seed makes no key")]
    NoKey,
}

/// Why a token is refused: for logs and metrics, not for clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccessTokenError {
    /// It is longer than any that was issued, and was not read.
    #[error("the token is too long")]
    TooLong,
    /// It is no token of this format.
    #[error("the token cannot be read")]
    Malformed,
    /// Its header names another algorithm than the one there is.
    #[error("the token is not signed with EdDSA")]
    Algorithm,
    /// It was issued for something else.
    #[error("the token is no access token")]
    Type,
    /// Its header has parts that must be understood, and none is.
    #[error("the token has a critical header")]
    CriticalHeader,
    /// Its header names no key.
    #[error("the token names no key")]
    NoKey,
    /// Its header names a key that is not accepted, or not accepted any more.
    #[error("the key of the token is not accepted")]
    UnknownKey,
    /// It was not signed under the key it names, or was changed after.
    #[error("the signature of the token is wrong")]
    Signature,
    /// Somebody else issued it.
    #[error("the token is of another issuer")]
    Issuer,
    /// It is meant for somebody else.
    #[error("the token is for another audience")]
    Audience,
    /// It was issued when its key did not sign, or for longer than tokens are issued.
    #[error("the token was not issued by the rules of its key")]
    Period,
    /// It is not valid yet.
    #[error("the token is not valid yet")]
    NotYet,
    /// It is over.
    #[error("the token is over")]
    Expired,
}
