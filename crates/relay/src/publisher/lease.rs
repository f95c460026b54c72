//! The lease of the cursor: won by asking, kept by a heartbeat under everything that takes time.

use std::time::Duration;

use eventstore::answer::within;
use eventstore::cursor::HEARTBEAT;
use eventstore::{Cursor, EventStore, Position};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};

use super::RelayStatus;
use super::retention::Retention;
use super::status::Reporter;
use super::trouble::Trouble;

/// How often the cursor is moved at most.
const MOVE_EVERY: Duration = Duration::from_millis(100);

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

    /// Does `work`, which says in `moves` how far the cursor may go, and lets it follow; gives `work`
    /// up when the lease is lost. When `work` has ended, the cursor is where it said last.
    ///
    /// Nothing waits for a move, and there are few: each one leaves a dead row behind, which is looked
    /// at again and again for as long as anybody holds an old snapshot.
    pub(super) async fn follow<T>(
        &mut self,
        mut moves: watch::Receiver<Position>,
        store: &EventStore,
        work: impl Future<Output = T>,
    ) -> Result<T, Trouble> {
        let Self { cursor, pool, heartbeat } = self;
        let mut retention = Retention::new();
        let mut follow = Box::pin(async move {
            let mut due = Instant::now();
            loop {
                let position = cursor.position();
                let next = async {
                    sleep_until(due).await;
                    moves.wait_for(|to| *to != position).await.map(|to| *to)
                };
                tokio::select! {
                    biased;
                    _ = heartbeat.tick() => {
                        cursor.renew(pool).await?;
                        if retention.is_due() {
                            retention.retire(store, cursor).await;
                        }
                    }
                    to = next => match to {
                        Ok(to) => {
                            advance(cursor, pool, to).await?;
                            due = Instant::now() + MOVE_EVERY;
                        }
                        // The work has ended.
                        Err(_) => return Ok(()),
                    },
                }
            }
        });
        let mut work = Box::pin(work);
        let done = tokio::select! {
            biased;
            done = &mut work => done,
            lost = &mut follow => return Err(lost.err().unwrap_or(Trouble::Fenced)),
        };
        // With the work its side of `moves` is gone.
        drop(work);
        follow.await?;
        Ok(done)
    }

    /// Moves the cursor, in either direction.
    pub(super) async fn advance(&mut self, to: Position) -> Result<(), Trouble> {
        advance(&mut self.cursor, &self.pool, to).await
    }

    /// Gives it up; harmless if it is somebody else's by now.
    pub(super) async fn release(self) {
        if let Err(error) = self.cursor.release(&self.pool).await {
            tracing::info!(%error, "could not release the lease, it ends by itself");
        }
    }
}

async fn advance(cursor: &mut Cursor, pool: &PgPool, to: Position) -> Result<(), Trouble> {
    within(async {
        cursor.advance(&mut *pool.acquire().await?, to).await?;
        Ok::<_, Trouble>(())
    })
    .await?;
    cursor.committed(to);
    Ok(())
}

fn heartbeat() -> Interval {
    let mut heartbeat = interval(HEARTBEAT);
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    heartbeat
}
