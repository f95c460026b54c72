//! A key of access tokens, its halves and its name.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::LEEWAY;
use crate::ports::{NoRandomness, Randomness};

/// The name of a key: its thumbprint (RFC 7638), so that two keys never share one.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct KeyId(String);

impl KeyId {
    /// The name of `key`.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        // The members that are required, in the order of their names, without white space.
        let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, key.encoded());
        Self(URL_SAFE_NO_PAD.encode(Sha256::digest(members)))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The half of an Ed25519 key that everybody may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Takes `bytes` as a key (RFC 8032).
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// In base64url, as it is published.
    pub(super) fn encoded(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// The half of an Ed25519 key that nobody else may know: 32 random bytes, wiped when dropped.
#[derive(Clone)]
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// A new one.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn random(randomness: &dyn Randomness) -> Result<Self, NoRandomness> {
        let mut bytes = Zeroizing::new([0; 32]);
        randomness.fill(bytes.as_mut())?;
        Ok(Self(bytes))
    }

    /// One that was kept.
    #[must_use]
    pub const fn new(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self(bytes)
    }

    /// The bytes, to be sealed or signed with.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// When a key signs: from `not_before` on, until before `not_after`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningPeriod {
    /// The first moment.
    pub not_before: DateTime<Utc>,
    /// The first moment after it.
    pub not_after: DateTime<Utc>,
}

impl SigningPeriod {
    /// Whether the key signs at `moment`.
    #[must_use]
    pub fn holds(&self, moment: DateTime<Utc>) -> bool {
        self.not_before <= moment && moment < self.not_after
    }

    /// Whether it may have signed at `moment`, by another clock.
    #[must_use]
    pub fn may_hold(&self, moment: DateTime<Utc>) -> bool {
        self.not_before - LEEWAY <= moment && moment < self.not_after + LEEWAY
    }
}

/// A key that tokens are verified with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerificationKey {
    id: KeyId,
    public: PublicKey,
    period: SigningPeriod,
}

impl VerificationKey {
    /// The key whose public half is `public`, which signs in `period`.
    #[must_use]
    pub fn new(public: PublicKey, period: SigningPeriod) -> Self {
        Self { id: KeyId::of(&public), public, period }
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.id
    }

    /// Its public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// When it signs.
    #[must_use]
    pub const fn period(&self) -> SigningPeriod {
        self.period
    }
}

/// A key that tokens are signed with.
#[derive(Debug, Clone)]
pub struct SigningKey {
    verification: VerificationKey,
    seed: Seed,
}

impl SigningKey {
    /// The key of `seed`, whose public half is `public`; see
    /// [`AccessTokens::signing_key`](super::AccessTokens::signing_key).
    #[must_use]
    pub fn new(seed: Seed, public: PublicKey, period: SigningPeriod) -> Self {
        Self { verification: VerificationKey::new(public, period), seed }
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &KeyId {
        &self.verification.id
    }

    /// What everybody may know of it.
    #[must_use]
    pub const fn verification(&self) -> &VerificationKey {
        &self.verification
    }

    /// What nobody else may.
    #[must_use]
    pub const fn seed(&self) -> &Seed {
        &self.seed
    }
}
