//! Which keys are used when.
//!
//! A key signs in its [`SigningPeriod`](super::SigningPeriod). It is in the [`KeySet`], and so
//! published, from when it is made, some time before its period; and it is accepted until the last
//! token it signed is over. A key that leaked is taken out of the set, and everything it signed is
//! refused.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Jwk, Jwks, LEEWAY, SigningKey, VerificationKey};

/// The keys there are, those that are announced and those that only verify among them.
#[derive(Debug, Clone)]
pub struct KeySet {
    keys: Vec<VerificationKey>,
    signing: Vec<SigningKey>,
    token_lifetime: TimeDelta,
}

impl KeySet {
    /// `keys` to verify with and `signing` to sign and verify with, of tokens that live for
    /// `token_lifetime` at most. A process that only verifies has none to sign with.
    #[must_use]
    pub fn new(
        mut keys: Vec<VerificationKey>,
        signing: Vec<SigningKey>,
        token_lifetime: TimeDelta,
    ) -> Self {
        // None can sign that is not published.
        for key in &signing {
            if !keys.iter().any(|known| known.id() == key.id()) {
                keys.push(key.verification().clone());
            }
        }
        Self { keys, signing, token_lifetime }
    }

    /// How long a token lives at most.
    #[must_use]
    pub const fn token_lifetime(&self) -> TimeDelta {
        self.token_lifetime
    }

    /// The key to sign with: of those whose period it is, the one whose period began last.
    #[must_use]
    pub fn signing_key(&self, now: DateTime<Utc>) -> Option<&SigningKey> {
        let signs = |key: &&SigningKey| key.verification().period().holds(now);
        self.signing.iter().filter(signs).max_by_key(|key| key.verification().period().not_before)
    }

    /// The key of that name, if tokens under it are accepted.
    #[must_use]
    pub fn verification_key(&self, id: &str, now: DateTime<Utc>) -> Option<&VerificationKey> {
        self.accepted(now).find(|key| key.id().as_str() == id)
    }

    /// What is published at `/.well-known/jwks.json`: the keys that are announced or accepted.
    #[must_use]
    pub fn jwks(&self, now: DateTime<Utc>) -> Jwks {
        Jwks { keys: self.accepted(now).map(Jwk::of).collect() }
    }

    /// Every key.
    #[must_use]
    pub fn keys(&self) -> &[VerificationKey] {
        &self.keys
    }

    fn accepted(&self, now: DateTime<Utc>) -> impl Iterator<Item = &VerificationKey> {
        let over =
            move |key: &VerificationKey| key.period().not_after + self.token_lifetime + LEEWAY;
        self.keys.iter().filter(move |key| now < over(key))
    }
}

#[cfg(test)]
mod tests;
