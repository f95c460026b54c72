//! How long an answer of the database is waited for.
//!
//! A connection can go silent without an end: the host lost power, a firewall forgot it. Nobody
//! tells its user, so whoever waits for an answer waits for a while and no longer; the connection
//! is not used again.

use std::future::Future;
use std::io;
use std::time::Duration;

/// Longer than any answer takes that is still to come.
pub const ANSWER: Duration = Duration::from_secs(10);

/// Does `work`, which asks the database, for at most [`ANSWER`].
///
/// # Errors
/// What `work` says, or [`sqlx::Error::Io`] of kind `TimedOut`: what was sent may have taken
/// effect or not.
pub async fn within<T, E: From<sqlx::Error>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match tokio::time::timeout(ANSWER, work).await {
        Ok(answer) => answer,
        Err(_) => Err(E::from(silent())),
    }
}

/// Nobody answers.
pub(crate) fn silent() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database does not answer"))
}
