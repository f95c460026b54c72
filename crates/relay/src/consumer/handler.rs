//! What an integrator writes: the effect of messages.

use std::error::Error;

use sqlx::PgConnection;

use crate::IncomingMessage;

/// The effect of messages.
pub trait Handler: Send + Sync + 'static {
    /// Takes effect of `messages` in `transaction`, which also marks them. None of them has taken
    /// effect before; those of one key are in the order of the stream.
    ///
    /// Called again if it fails or the transaction does not commit, with the same messages or with
    /// some of them, so nothing may happen outside the transaction that must not happen twice.
    ///
    /// # Errors
    /// [`HandlerError`] says when it is tried again; the transaction is rolled back.
    fn handle(
        &self,
        transaction: &mut PgConnection,
        messages: &[&IncomingMessage],
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;

    /// What the order of messages matters within: messages of one key take effect one after the
    /// other, and wait behind one that fails. By default the stream of the event.
    ///
    /// The same message has the same key for ever.
    fn key<'a>(&self, message: &'a IncomingMessage) -> &'a str {
        &message.subject
    }
}

/// Messages that did not take effect.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// Somebody else changed what they depend on: again at once.
    #[error("what the message changes was changed meanwhile")]
    Conflict,
    /// It is not because of the messages: again after a while, for ever, and everything behind
    /// them waits.
    #[error("what the handler needs is not there")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// It does not work: again after a while, as often as [`Retries`](super::Retries) says; the
    /// others of the same key wait.
    #[error("the handler failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
    /// It will never work: not again until somebody says so.
    #[error("the handler refused the message")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
}

impl HandlerError {
    /// Failed for the reason `source`.
    pub fn failed(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(source.into())
    }

    /// Refused for the reason `source`.
    pub fn refused(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Refused(source.into())
    }
}

impl From<sqlx::Error> for HandlerError {
    fn from(error: sqlx::Error) -> Self {
        match Nature::of(&error) {
            Nature::Unavailable => Self::Unavailable(error.into()),
            Nature::Conflict => Self::Conflict,
            Nature::Other => Self::Failed(error.into()),
        }
    }
}

/// What an error of the database says about those who work on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// Nobody answers, or not now.
    Unavailable,
    /// Two transactions were in each other's way.
    Conflict,
    /// Whatever was asked cannot be done.
    Other,
}

impl Nature {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(refused) => match refused.code().as_deref() {
                // Serialization failure and deadlock.
                Some("40001" | "40P01") => Self::Conflict,
                // A statement that took too long.
                Some("57014") => Self::Other,
                // Connection, resources, operator intervention, or a server that takes no writes.
                Some(code)
                    if ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class))
                        || code == "25006" =>
                {
                    Self::Unavailable
                }
                _ => Self::Other,
            },
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable,
            _ => Self::Other,
        }
    }
}
