//! Passwords: hashed slowly, and never on the threads that serve.

use std::fmt;

use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret as _, SecretString};

/// Hashes and checks passwords, some at once and some more in a queue.
///
/// A future that is dropped while it waits leaves the queue; a hash that began runs to its end. What is
/// hashed is the [normalised](crate::passwords::normalised) text.
pub trait Passwords: Send + Sync {
    /// The hash of `password` under the parameters of this time, with a salt of its own.
    ///
    /// # Errors
    /// [`PasswordsError::Busy`]: too many wait.
    fn hash(&self, password: SecretString) -> BoxFuture<'_, Result<PasswordHash, PasswordsError>>;

    /// Whether `password` is the one of `hash`. If it is and the hash is weaker than those that are
    /// made now, then a new one is made as well.
    ///
    /// # Errors
    /// [`PasswordsError::Busy`]: too many wait. [`PasswordsError::Unreadable`]: the hash is none.
    fn verify(
        &self,
        password: SecretString,
        hash: &PasswordHash,
    ) -> BoxFuture<'_, Result<Verified, PasswordsError>>;

    /// Takes what it takes to verify a password under a hash of this time; for accounts that there are
    /// not.
    ///
    /// # Errors
    /// [`PasswordsError::Busy`]: too many wait, just as [`Passwords::verify`] would say.
    fn verify_nothing(&self, password: SecretString) -> BoxFuture<'_, Result<(), PasswordsError>>;
}

/// Whether a password was the right one.
#[derive(Debug, Clone)]
pub enum Verified {
    /// It was not.
    Wrong,
    /// It was.
    Right {
        /// What is to be kept from now on instead of the old hash, if that is outdated.
        rehashed: Option<PasswordHash>,
    },
}

/// A hash of a password, with its salt and its parameters, as text.
#[derive(Clone)]
pub struct PasswordHash(SecretString);

impl PasswordHash {
    /// Takes a hash that was kept. Whether it is one is found when it is verified.
    #[must_use]
    pub fn new(text: impl Into<SecretString>) -> Self {
        Self(text.into())
    }

    /// The text, to be kept.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Shows nothing: a hash is what weak passwords are found with.
impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// Why nothing was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordsError {
    /// As many as may wait are waiting: later may be better.
    #[error("too many passwords wait to be hashed")]
    Busy,
    /// What was kept is no hash, or none that is taken.
    #[error("a hash of a password cannot be read")]
    Unreadable,
    /// There was no salt.
    #[error("there is no randomness to hash a password with")]
    NoRandomness,
    /// The hash ended without a result.
    #[error("a hash of a password failed")]
    Failed,
}

/// Knows passwords that others have lost.
pub trait BreachedPasswords: Send + Sync {
    /// Whether `password` is known. May read files: not for the threads that serve.
    fn contains(&self, password: &str) -> bool;
}

/// Where there is no list, no password is known.
#[derive(Debug, Clone, Copy)]
pub struct NoneBreached;

impl BreachedPasswords for NoneBreached {
    fn contains(&self, _: &str) -> bool {
        false
    }
}
