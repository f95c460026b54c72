//! What an integrator writes: the effect of a message.

use std::error::Error;

use sqlx::PgConnection;

use crate::IncomingMessage;

/// The effect of messages.
pub trait Handler: Send + Sync + 'static {
    /// Takes effect of `message` in `transaction`, which also marks it in the inbox.
    ///
    /// Called again if it fails or the transaction does not commit, so nothing may happen outside
    /// the transaction that must not happen twice.
    ///
    /// # Errors
    /// [`HandlerError`] says when it is tried again; the transaction is rolled back.
    fn handle(
        &self,
        transaction: &mut PgConnection,
        message: &IncomingMessage,
    ) -> impl Future<Output = Result<(), HandlerError>> + Send;
}

/// A message that did not take effect.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// Somebody else changed what it depends on: again at once.
    #[error("what the message changes was changed meanwhile")]
    Conflict,
    /// It does not work: again after a while, for ever.
    #[error("the handler failed")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}

impl HandlerError {
    /// Failed for the reason `source`.
    pub fn failed(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(source.into())
    }
}

impl From<sqlx::Error> for HandlerError {
    fn from(error: sqlx::Error) -> Self {
        Self::failed(error)
    }
}
