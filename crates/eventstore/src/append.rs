//! Appending: what one command needs commits in one statement, or nothing does (law 1).
//!
//! [`EventStore::append`](crate::EventStore::append) merges what concurrent callers ask for into
//! one call of the database ([`writer`]); [`EventStore::append_in`] appends inside a
//! transaction of the caller. Both go through the same function, `eventstore.append`
//! (docs/adr/0002-one-statement-append.md).

mod batch;
mod error;
mod line;
pub(crate) mod receipt;
mod request;
mod span;
mod statement;
pub(crate) mod writer;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use sqlx::PgConnection;

use crate::EventStore;
use span::AppendSpan;

pub use error::AppendError;
pub use receipt::Receipt;
pub use request::{
    Append, Claim, Condition, ExpectedVersion, Fingerprint, Metadata, NewEvent, NewMessage,
};

impl EventStore {
    /// Appends inside the caller's transaction, so that it commits with rows of the caller's own.
    ///
    /// The order lock of the log is held from here to the end of the transaction: every other
    /// append of every process waits for it. Call it last, with nothing slow behind it. The
    /// transaction must be READ COMMITTED.
    ///
    /// # Errors
    /// As [`EventStore::append`], but never [`AppendError::Unconfirmed`]: the commit is the
    /// caller's. After an error of the database the transaction is void.
    pub async fn append_in(
        &self,
        connection: &mut PgConnection,
        append: &Append,
    ) -> Result<Receipt, AppendError> {
        append.check()?;
        let mut append = Cow::Borrowed(append);
        let mut span = AppendSpan::begin_in(&mut append);
        span.sent(1);
        let outcome = self.append_alone(connection, &append).await;
        span.end(&outcome);
        outcome
    }

    async fn append_alone(
        &self,
        connection: &mut PgConnection,
        append: &Append,
    ) -> Result<Receipt, AppendError> {
        let mut outcomes = statement::append_batch(connection, &[append], &HashSet::new())
            .await
            .map_err(|error| AppendError::Refused { source: Arc::new(error) })?;
        let receipt = outcomes.pop().unwrap_or_else(|| Err(AppendError::no_outcome()))?;
        if receipt.repeated {
            let known = receipt::find(connection, append.command_id).await;
            let known =
                known.map_err(|error| AppendError::Unavailable { source: Arc::new(error) })?;
            return known.ok_or_else(AppendError::no_outcome);
        }
        self.partitions().keep_ahead_of(receipt.position);
        Ok(receipt)
    }
}
