//! What is not kept: rows of the outbox that are published.
//!
//! The outbox is partitioned by position, and whole partitions are dropped, never rows: a row that
//! is deleted stays in the way of those who look for the next one, for as long as anybody holds an
//! old snapshot. What was dropped can still be told: it is made from the log
//! ([`EventStore::read_outbound`]).

use sqlx::postgres::PgDatabaseError;

use crate::answer::within;
use crate::{Cursor, EventStore, Position};

/// What became of an attempt to retire a part of the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retirement {
    /// One partition went: the outbox tells nothing of positions up to here any more.
    UpTo(Position),
    /// There is none to retire.
    Nothing,
    /// Somebody looks at the outbox and keeps it locked: try again later.
    Busy,
}

/// `lock_not_available`: the lock was not to be had in time.
const LOCK_TIMEOUT: &str = "55P03";

impl EventStore {
    /// Drops the oldest partition of the outbox if all of it lies more than `margin` positions below
    /// `cursor`, up to which everything is published.
    ///
    /// A transaction that only reads other tables is not waited for, however old it is; one that
    /// has looked at the outbox is, for an instant, and then the outbox stays as it is.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn retire_outbox(
        &self,
        cursor: &Cursor,
        margin: u32,
    ) -> Result<Retirement, sqlx::Error> {
        let retired = sqlx::query_scalar!(
            "SELECT eventstore.retire_outbox($1, $2, $3)",
            cursor.name(),
            cursor.epoch(),
            i64::from(margin),
        );
        match within(retired.fetch_one(self.pool())).await {
            Ok(floor) => {
                Ok(floor
                    .map_or(Retirement::Nothing, |floor| Retirement::UpTo(Position::new(floor))))
            }
            Err(sqlx::Error::Database(error))
                if error.downcast_ref::<PgDatabaseError>().code() == LOCK_TIMEOUT =>
            {
                Ok(Retirement::Busy)
            }
            Err(error) => Err(error),
        }
    }
}
