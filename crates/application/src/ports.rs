//! What the application needs from the outside world.

pub mod access_tokens;
pub mod external_login;
mod mail;
pub mod passwords;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use mail::{Mail, MailError, MailTrouble, Mailer, Recipient};

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

/// Bytes that can be guessed, each call's other than those of the one before.
#[cfg(test)]
#[derive(Default)]
pub(crate) struct Counted(std::sync::atomic::AtomicU64);

#[cfg(test)]
impl Randomness for Counted {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        use sha2::{Digest as _, Sha256};
        let call = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        for (index, chunk) in bytes.chunks_mut(32).enumerate() {
            let digest = Sha256::digest(format!("{call} {index}"));
            chunk.copy_from_slice(&digest[..chunk.len()]);
        }
        Ok(())
    }
}
