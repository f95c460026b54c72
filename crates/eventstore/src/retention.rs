//! What is not kept: rows of the outbox that are published, and records of old commands.
//!
//! The outbox is partitioned by position, and whole partitions are dropped, never rows: a row that
//! is deleted stays in the way of those who look for the next one, for as long as anybody holds an
//! old snapshot. What was dropped can still be told: it is made from the log
//! ([`EventStore::read_outbound`]).
//!
//! The record of a command is what makes the same id again have no second effect (law 3), so it is
//! kept for a stated time. Which records are older, the log itself says: events are found by time,
//! and name their commands. So an append pays for no index by time.

use std::time::Duration;

use sqlx::PgConnection;
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

/// What became of an attempt to forget commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgotten {
    /// How many records went.
    pub records: u64,
    /// Whether there are more to forget.
    pub are_more: bool,
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

    /// Forgets, in the caller's transaction, records of commands that took effect longer ago than
    /// `keep`, which is a day at least, by the clock of the database: at most those of the next
    /// `positions` of the log. Such a command given again takes effect again.
    ///
    /// # Errors
    /// The database cannot be reached, or `keep` is less than a day.
    pub async fn forget_commands_in(
        connection: &mut PgConnection,
        keep: Duration,
        positions: u16,
    ) -> Result<Forgotten, sqlx::Error> {
        let forgotten = sqlx::query!(
            r#"
            SELECT forgotten AS "forgotten!", are_more AS "are_more!"
            FROM eventstore.forget_commands(make_interval(secs => $1), $2)
            "#,
            keep.as_secs_f64(),
            i32::from(positions),
        );
        let forgotten = within(forgotten.fetch_one(connection)).await?;
        let records = u64::try_from(forgotten.forgotten).unwrap_or_default();
        Ok(Forgotten { records, are_more: forgotten.are_more })
    }
}
