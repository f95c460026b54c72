//! Passwords by Argon2id, on threads of their own.
//!
//! A hash takes tens of milliseconds of a core and as much memory as [`HashCost`] says, which is
//! allocated for it and given back after; so the memory of all is bounded by how many run at once.
//! [`HashThreads`] says how many those are and how many may wait.
//!
//! Hashes that were brought from elsewhere may be bcrypt (`$2a$`, `$2b$`, `$2y$`). They are verified as
//! they are, of what was typed and of its normalised form, because nobody knows which of them the other
//! system hashed; and hashed anew when they are verified. Until then a login takes as long as bcrypt
//! does, and may so tell that the account was brought along.

mod hashing;
mod threads;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;

use application::ports::Randomness;
use application::ports::passwords::{PasswordHash, Passwords, PasswordsError, Verified};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use secrecy::SecretString;

use self::hashing::Hashing;
use self::threads::Threads;

/// What a hash costs: the parameters of Argon2id. By default the least that OWASP recommends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashCost {
    /// Memory, in KiB; at least 8 for each lane.
    pub memory_kib: u32,
    /// How often the memory is gone through.
    pub iterations: u32,
    /// How many lanes could be computed at once; here they are computed one after another.
    pub lanes: u32,
}

impl Default for HashCost {
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, iterations: 2, lanes: 1 }
    }
}

impl HashCost {
    /// As little as possible, for tests and demonstrations: protects nothing.
    pub const CHEAPEST: Self = Self { memory_kib: 8, iterations: 1, lanes: 1 };
}

/// How many passwords are hashed at once, and how many wait.
///
/// By default half the cores hash, at least one, so that other requests keep the other half; memory they
/// share all the same. Besides, on Linux, these threads are nicer than others by 5, which gives them a
/// third of what others get of a core that both want: so others keep three quarters of one where it is
/// the only one, and logins go on, if slowly, where others are busy for long.
///
/// What waits by default takes about a second where nobody else is busy, and three times as long where
/// they are: whoever would wait longer is better told to come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashThreads {
    /// How many at once.
    pub threads: NonZeroUsize,
    /// How many more may wait.
    pub waiting: usize,
}

impl Default for HashThreads {
    fn default() -> Self {
        let cores = available_parallelism().map_or(1, NonZeroUsize::get);
        let threads = NonZeroUsize::new(cores / 2).unwrap_or(NonZeroUsize::MIN);
        Self { threads, waiting: 16 * threads.get() }
    }
}

/// Hashes passwords with Argon2id and verifies those and bcrypt.
#[derive(Debug)]
pub struct Argon2Passwords {
    hashing: Arc<Hashing>,
    threads: Threads,
}

/// Why no passwords can be hashed.
#[derive(Debug, thiserror::Error)]
pub enum PasswordsSetupError {
    /// Argon2 knows no such parameters.
    #[error("{0:?} cannot be the cost of a hash")]
    Cost(HashCost),
    /// The system gave no threads.
    #[error("start threads that hash passwords")]
    Threads(#[source] std::io::Error),
}

impl Argon2Passwords {
    /// Hashes at `cost` with salts of `randomness`. The threads end when this is dropped.
    ///
    /// # Errors
    /// There are no such parameters, or no threads.
    pub fn new(
        cost: HashCost,
        threads: HashThreads,
        randomness: Arc<dyn Randomness>,
    ) -> Result<Self, PasswordsSetupError> {
        let hashing = Hashing::new(cost, randomness).ok_or(PasswordsSetupError::Cost(cost))?;
        let threads = Threads::start(threads).map_err(PasswordsSetupError::Threads)?;
        Ok(Self { hashing: Arc::new(hashing), threads })
    }
}

impl Passwords for Argon2Passwords {
    fn hash(&self, password: SecretString) -> BoxFuture<'_, Result<PasswordHash, PasswordsError>> {
        let hashing = Arc::clone(&self.hashing);
        self.threads.run(move || hashing.hash(&password)).map(Result::flatten).boxed()
    }

    fn verify(
        &self,
        password: SecretString,
        hash: &PasswordHash,
    ) -> BoxFuture<'_, Result<Verified, PasswordsError>> {
        let (hashing, hash) = (Arc::clone(&self.hashing), hash.clone());
        self.threads.run(move || hashing.verify(&password, &hash)).map(Result::flatten).boxed()
    }

    fn verify_nothing(&self, password: SecretString) -> BoxFuture<'_, Result<(), PasswordsError>> {
        let hashing = Arc::clone(&self.hashing);
        self.threads.run(move || hashing.verify_nothing(&password)).map(Result::flatten).boxed()
    }
}

#[cfg(test)]
mod tests;
