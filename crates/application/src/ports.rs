//! What the application needs from the outside world.

pub mod access_tokens;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> DateTime<Utc>;
}

/// Makes ids that nobody else makes.
pub trait IdSource: Send + Sync {
    /// A new UUIDv7: later ones sort behind earlier ones of the same process.
    fn next(&self) -> Uuid;
}

/// Makes bytes that nobody can guess.
pub trait Randomness: Send + Sync {
    /// Fills `bytes`, all of them.
    ///
    /// # Errors
    /// The system has none to give; then `bytes` must not be used.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness>;
}

/// The system gave no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gave no random bytes")]
pub struct NoRandomness;
