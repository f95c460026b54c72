//! Follows the log with one projection.
//!
//! Any number of processes may run a worker for the same projection; the one that leases its
//! cursor works, the others wait to take over. Rows and cursor commit in one transaction whose
//! first statement moves the cursor under the lease's epoch, so a batch takes effect once,
//! whoever else believes to be the owner (law 7).
//!
//! A batch that fails is tried again, with growing pauses, for as long as it takes: nothing is
//! skipped (law 8), and [`Status`] says what is wrong.

use std::time::Duration;

use eventstore::answer::{self, within};
use eventstore::cursor::HEARTBEAT;
use eventstore::{Cursor, CursorError, EventStore, Position, Wakeup};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{ApplyError, Entry, Projection};

/// Most events of one batch.
const BATCH: u16 = 500;

/// The longest pause between two tries of a batch that fails.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How a worker is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Another process does the work.
    Standby,
    /// It follows the log.
    Following,
    /// What comes next in the log cannot take effect; it is tried again.
    Failing {
        /// Everything up to here has taken effect.
        position: Position,
        /// How often it was tried.
        attempts: u32,
        /// What is wrong.
        error: String,
    },
}

/// A projection at work.
pub struct Worker {
    projection: &'static Projection,
    store: EventStore,
    wakeup: Wakeup,
    status: watch::Sender<Status>,
    /// Everything up to here has taken effect, as far as this worker knows.
    reached: Position,
}

#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error(transparent)]
    Cursor(#[from] CursorError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error("reach the database")]
    Database(#[from] sqlx::Error),
}

impl Worker {
    /// A worker for `projection` on the log of `store`.
    #[must_use]
    pub fn new(projection: &'static Projection, store: EventStore, wakeup: Wakeup) -> Self {
        Self {
            projection,
            store,
            wakeup,
            status: watch::Sender::new(Status::Standby),
            reached: Position::START,
        }
    }

    /// How it is doing, now and later.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// Works until `stop`; the batch in hand is finished and the lease given up.
    #[tracing::instrument(name = "projections.worker", skip_all, fields(projection.name = self.projection.name))]
    pub async fn run(mut self, stop: CancellationToken) {
        let mut attempts = 0;
        while !stop.is_cancelled() {
            let pause = match self.lease_and_follow(&stop, &mut attempts).await {
                Ok(()) => HEARTBEAT,
                Err(FollowError::Cursor(CursorError::Fenced { .. })) => {
                    tracing::info!("another process took over");
                    self.status.send_replace(Status::Standby);
                    HEARTBEAT
                }
                Err(error) => {
                    attempts += 1;
                    self.report(attempts, &error);
                    pause_after(attempts)
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Follows the log under a lease, until `stop` or an error; at once done if it is leased
    /// to somebody else.
    async fn lease_and_follow(
        &mut self,
        stop: &CancellationToken,
        attempts: &mut u32,
    ) -> Result<(), FollowError> {
        let name = self.projection.cursor_name();
        let Some(mut cursor) = Cursor::lease(self.store.pool(), &name).await? else {
            self.status.send_replace(Status::Standby);
            return Ok(());
        };
        let outcome = self.follow(&mut cursor, stop, attempts).await;
        if let Err(error) = cursor.release(self.store.pool()).await {
            tracing::debug!(%error, "could not give up the lease, it ends by itself");
        }
        outcome
    }

    async fn follow(
        &mut self,
        cursor: &mut Cursor,
        stop: &CancellationToken,
        attempts: &mut u32,
    ) -> Result<(), FollowError> {
        tracing::info!(cursor.position = %cursor.position(), cursor.epoch = cursor.epoch(), "following the log");
        let mut renewed = Instant::now();
        while !stop.is_cancelled() {
            self.reached = cursor.position();
            let advanced = self.advance(cursor).await?;
            *attempts = 0;
            self.status.send_replace(Status::Following);
            if advanced {
                renewed = Instant::now();
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.wakeup.wait() => {}
            }
            if renewed.elapsed() >= HEARTBEAT {
                cursor.renew(self.store.pool()).await?;
                renewed = Instant::now();
            }
        }
        Ok(())
    }

    /// Takes effect of the next batch; `false` if there is nothing after the cursor.
    async fn advance(&self, cursor: &mut Cursor) -> Result<bool, FollowError> {
        let head = self.store.head().await?;
        let from = cursor.position();
        if head <= from {
            return Ok(false);
        }
        let page = self.store.read_page(&self.projection.filter(), from, head, BATCH).await?;
        let mut to = page.reached;
        let mut entries = Vec::with_capacity(page.events.len());
        for recorded in page.events {
            let before = Position::new(recorded.position.get() - 1);
            match Entry::read(recorded) {
                Ok(entry) => entries.push(entry),
                Err(error) if before <= from => return Err(error.into()),
                // What comes before an event that cannot be read takes effect first.
                Err(_) => {
                    to = before;
                    break;
                }
            }
        }
        let schema = self.projection.schema_name();
        within::<_, FollowError>(async {
            let mut transaction = answer::begin(self.store.pool(), "BEGIN").await?;
            cursor.advance(&mut transaction, to).await?;
            self.projection.apply_to(&mut transaction, &schema, &entries).await?;
            Ok(transaction.commit().await?)
        })
        .await?;
        cursor.committed(to);
        Ok(true)
    }

    fn report(&self, attempts: u32, error: &FollowError) {
        let text = chain(error);
        if attempts == 1 {
            tracing::error!(error = %text, "the projection stands still and tries again");
        } else {
            tracing::warn!(error = %text, attempts, "the projection still stands still");
        }
        let position = self.reached;
        self.status.send_replace(Status::Failing { position, attempts, error: text });
    }
}

fn pause_after(attempts: u32) -> Duration {
    Duration::from_millis(100).saturating_mul(1 << attempts.min(10)).min(LONGEST_PAUSE)
}

/// The error with everything that led to it.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
