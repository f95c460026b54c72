//! What the application needs from the outside world.

mod mail;

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
