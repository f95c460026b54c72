//! Which copy of a consumer works: the one that leases its name.
//!
//! Others stand by. It is not what effects are safe by (that is the marks, see
//! [`marks`](super::marks)); it keeps two copies from doing the same work and waiting for each
//! other.

use eventstore::answer::within;
use eventstore::cursor::{HEARTBEAT, LEASE};
use sqlx::PgPool;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::ConsumerStatus;
use super::status::Reporter;
use crate::broker::chain;

/// The lease of a consumer's name.
pub(super) struct Ownership<'a> {
    pool: &'a PgPool,
    consumer: &'a str,
    epoch: i64,
    heartbeat: Interval,
}

/// It is somebody else's now, or nobody knows.
pub(super) struct Lost;

impl<'a> Ownership<'a> {
    /// Asks until the lease is ours.
    pub(super) async fn win(pool: &'a PgPool, consumer: &'a str, reporter: &Reporter) -> Self {
        let mut heartbeat = interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            heartbeat.tick().await;
            let leased = sqlx::query_scalar!(
                r#"
                INSERT INTO relay.consumers AS mine (name, epoch, expires_at)
                VALUES ($1, 1, clock_timestamp() + make_interval(secs => $2))
                ON CONFLICT (name) DO UPDATE
                SET epoch = mine.epoch + 1, expires_at = excluded.expires_at
                WHERE mine.expires_at <= clock_timestamp()
                RETURNING epoch
                "#,
                consumer,
                LEASE.as_secs_f64(),
            );
            match within(leased.fetch_optional(pool)).await {
                Ok(Some(epoch)) => return Self { pool, consumer, epoch, heartbeat },
                Ok(None) => reporter.report(ConsumerStatus::Standby),
                Err(error) => {
                    let error = format!("database: {}", chain(&error));
                    reporter.report(ConsumerStatus::Stalled { error });
                }
            }
        }
    }

    /// Does `work` and keeps the lease meanwhile; gives `work` up when the lease is lost.
    pub(super) async fn hold<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Lost> {
        let Self { pool, consumer, epoch, heartbeat } = self;
        let keep = async {
            loop {
                heartbeat.tick().await;
                let kept = sqlx::query!(
                    r#"
                    UPDATE relay.consumers
                    SET expires_at = clock_timestamp() + make_interval(secs => $3)
                    WHERE name = $1 AND epoch = $2
                    "#,
                    *consumer,
                    *epoch,
                    LEASE.as_secs_f64(),
                );
                match within(kept.execute(*pool)).await {
                    Ok(kept) if kept.rows_affected() == 1 => {}
                    Ok(_) => return,
                    // Whoever works notices by itself that the database is away.
                    Err(error) => tracing::debug!(%error, "could not renew the lease"),
                }
            }
        };
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = keep => Err(Lost),
        }
    }

    /// Gives it up, so that the next copy need not wait for its end.
    pub(super) async fn release(self) {
        let released = sqlx::query!(
            "UPDATE relay.consumers SET expires_at = clock_timestamp() WHERE name = $1 AND epoch = $2",
            self.consumer,
            self.epoch,
        );
        if let Err(error) = within(released.execute(self.pool)).await {
            tracing::info!(%error, "could not release the lease, it ends by itself");
        }
    }
}
