//! How far a follower of the log has come, under a fenced lease.
//!
//! The relay and every projection follow the log with a cursor: a named row that holds a position
//! and an epoch. Whoever leases it gets an epoch of its own; a move names that epoch, so an owner
//! that was frozen and wakes up late moves nothing (laws 5 and 7). A move is the first statement
//! of the transaction that takes effect of the events it moves over: rows and cursor commit
//! together, and whoever else wants the row waits for that commit.
//!
//! Moving extends the lease; an idle owner calls [`Cursor::renew`].

use std::time::Duration;

use sqlx::{PgConnection, PgPool};

use crate::Position;
use crate::answer::within;

/// How long an owner that stopped renewing is left alone.
pub const LEASE: Duration = Duration::from_millis(2_500);

/// How often an owner renews, and a candidate asks.
pub const HEARTBEAT: Duration = Duration::from_millis(500);

/// A leased cursor.
#[derive(Debug)]
pub struct Cursor {
    name: String,
    epoch: i64,
    position: Position,
}

/// Why a cursor did not move.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// Somebody else leases it now, or moved it: stop, and lease it again.
    #[error("cursor {name} is no longer leased under epoch {epoch}")]
    Fenced {
        /// The cursor.
        name: String,
        /// The epoch that is over.
        epoch: i64,
    },
    /// The database did not answer.
    #[error("move cursor {name}")]
    Database {
        /// The cursor.
        name: String,
        /// What broke.
        #[source]
        source: sqlx::Error,
    },
}

impl Cursor {
    /// Leases the cursor `name`, made at [`Position::START`] if it is new; `None` while somebody
    /// else holds it.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn lease(pool: &PgPool, name: &str) -> Result<Option<Self>, sqlx::Error> {
        let leased = within(
            sqlx::query!(
                r#"
            INSERT INTO eventstore.cursors AS mine (name, position, epoch, expires_at, moved_at)
            SELECT $1, 0, 1, clock_timestamp() + make_interval(secs => $2), clock_timestamp()
            WHERE NOT EXISTS (
                SELECT 1 FROM eventstore.cursors AS held
                WHERE held.name = $1 AND held.expires_at > clock_timestamp()
            )
            ON CONFLICT (name) DO UPDATE
            SET epoch = mine.epoch + 1, expires_at = excluded.expires_at
            WHERE mine.expires_at <= clock_timestamp()
            RETURNING position, epoch
            "#,
                name,
                LEASE.as_secs_f64(),
            )
            .fetch_optional(pool),
        )
        .await?;
        Ok(leased.map(|row| Self {
            name: name.to_owned(),
            epoch: row.epoch,
            position: Position::new(row.position),
        }))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The epoch it is leased under.
    #[must_use]
    pub const fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Everything up to here has taken effect.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Moves to `to` in the caller's transaction; call it first in it, and
    /// [`Cursor::committed`] once it has committed.
    ///
    /// # Errors
    /// [`CursorError::Fenced`]: the transaction must be rolled back.
    pub async fn advance(
        &self,
        connection: &mut PgConnection,
        to: Position,
    ) -> Result<(), CursorError> {
        let moved = sqlx::query!(
            r#"
            UPDATE eventstore.cursors
            SET position = $4,
                expires_at = clock_timestamp() + make_interval(secs => $5),
                moved_at = clock_timestamp()
            WHERE name = $1 AND epoch = $2 AND position = $3
            "#,
            self.name,
            self.epoch,
            self.position.get(),
            to.get(),
            LEASE.as_secs_f64(),
        )
        .execute(connection)
        .await;
        self.only_if_mine(moved)
    }

    /// Remembers that a move has committed.
    pub fn committed(&mut self, to: Position) {
        self.position = to;
    }

    /// Keeps the lease without a move.
    ///
    /// # Errors
    /// [`CursorError::Fenced`]: it is not ours any more.
    pub async fn renew(&self, pool: &PgPool) -> Result<(), CursorError> {
        let renewed = within(
            sqlx::query!(
                r#"
            UPDATE eventstore.cursors
            SET expires_at = clock_timestamp() + make_interval(secs => $3)
            WHERE name = $1 AND epoch = $2
            "#,
                self.name,
                self.epoch,
                LEASE.as_secs_f64(),
            )
            .execute(pool),
        )
        .await;
        self.only_if_mine(renewed)
    }

    /// Gives the lease up, so that the next one need not wait for its end.
    ///
    /// # Errors
    /// The database cannot be reached; the lease then ends by itself.
    pub async fn release(self, pool: &PgPool) -> Result<(), sqlx::Error> {
        within(sqlx::query!(
            "UPDATE eventstore.cursors SET expires_at = clock_timestamp() WHERE name = $1 AND epoch = $2",
            self.name,
            self.epoch,
        )
        .execute(pool))
        .await?;
        Ok(())
    }

    /// The position of the cursor `name` as it is committed, whoever leases it.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn peek(pool: &PgPool, name: &str) -> Result<Option<Position>, sqlx::Error> {
        let position = within(
            sqlx::query_scalar!("SELECT position FROM eventstore.cursors WHERE name = $1", name)
                .fetch_optional(pool),
        )
        .await?;
        Ok(position.map(Position::new))
    }

    /// The committed positions of all cursors, by name.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn all(pool: &PgPool) -> Result<Vec<(String, Position)>, sqlx::Error> {
        let rows = within(
            sqlx::query!("SELECT name, position FROM eventstore.cursors ORDER BY name")
                .fetch_all(pool),
        )
        .await?;
        Ok(rows.into_iter().map(|row| (row.name, Position::new(row.position))).collect())
    }

    fn only_if_mine(
        &self,
        updated: Result<sqlx::postgres::PgQueryResult, sqlx::Error>,
    ) -> Result<(), CursorError> {
        let name = self.name.clone();
        match updated {
            Ok(result) if result.rows_affected() == 1 => Ok(()),
            Ok(_) => Err(CursorError::Fenced { name, epoch: self.epoch }),
            Err(source) => Err(CursorError::Database { name, source }),
        }
    }
}
