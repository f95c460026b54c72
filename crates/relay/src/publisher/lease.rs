//! The lease of the cursor: won by asking, kept by a heartbeat under everything that takes time.

use eventstore::cursor::HEARTBEAT;
use eventstore::{Cursor, Position};
use sqlx::PgPool;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::RelayStatus;
use super::status::Reporter;
use super::trouble::Trouble;

/// One who would lead.
pub(super) struct Candidacy {
    pool: PgPool,
    name: String,
}

impl Candidacy {
    pub(super) const fn new(pool: PgPool, name: String) -> Self {
        Self { pool, name }
    }

    /// Asks until the lease is ours.
    pub(super) async fn win(&self, reporter: &mut Reporter) -> Lease {
        let mut heartbeat = heartbeat();
        loop {
            heartbeat.tick().await;
            match Cursor::lease(&self.pool, &self.name).await {
                Ok(Some(cursor)) => return Lease { cursor, pool: self.pool.clone(), heartbeat },
                Ok(None) => reporter.report(RelayStatus::Standby),
                Err(error) => reporter.report(Trouble::Database(error).into_status()),
            }
        }
    }
}

/// The cursor, leased.
pub(super) struct Lease {
    cursor: Cursor,
    pool: PgPool,
    heartbeat: Interval,
}

impl Lease {
    pub(super) const fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    pub(super) const fn epoch(&self) -> i64 {
        self.cursor.epoch()
    }

    pub(super) const fn position(&self) -> Position {
        self.cursor.position()
    }

    /// Does `work` and keeps the lease meanwhile; gives `work` up when the lease is lost.
    pub(super) async fn hold<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Trouble> {
        let Self { cursor, pool, heartbeat } = self;
        let keep = async {
            loop {
                heartbeat.tick().await;
                if let Err(error) = cursor.renew(pool).await {
                    return Trouble::from(error);
                }
            }
        };
        tokio::select! {
            biased;
            done = work => Ok(done),
            lost = keep => Err(lost),
        }
    }

    /// Moves the cursor, in either direction.
    pub(super) async fn advance(&mut self, to: Position) -> Result<(), Trouble> {
        let mut transaction = self.pool.begin().await?;
        self.cursor.advance(&mut transaction, to).await?;
        transaction.commit().await?;
        self.cursor.committed(to);
        Ok(())
    }

    /// Gives it up; harmless if it is somebody else's by now.
    pub(super) async fn release(self) {
        if let Err(error) = self.cursor.release(&self.pool).await {
            tracing::info!(%error, "could not release the lease, it ends by itself");
        }
    }
}

fn heartbeat() -> Interval {
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat
}
