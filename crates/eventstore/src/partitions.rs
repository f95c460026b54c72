//! Keeps the log supplied with partitions.
//!
//! Whoever appends makes sure of them when the log comes into another one, which is all that is
//! needed as long as that succeeds; [`EventStore::add_partitions`] is for those who look now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use sqlx::PgPool;

use crate::answer::within;
use crate::{EventStore, Position};

/// Makes partitions ahead of the log, in the background. Clones share what they know.
///
/// Each holds tens of millions of events, or what the public is told of hundreds of thousands, and
/// some are always empty, so nobody waits for one.
#[derive(Debug, Clone)]
pub(crate) struct Partitions {
    pool: PgPool,
    /// How many positions the smallest ones hold.
    positions: i64,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// The number of the smallest partition up to which enough are known to be ahead.
    supplied: AtomicI64,
    is_making: AtomicBool,
}

impl Partitions {
    pub(crate) fn new(pool: PgPool, positions: i64) -> Self {
        let shared = Shared { supplied: AtomicI64::new(-1), is_making: AtomicBool::new(false) };
        Self { pool, positions, shared: Arc::new(shared) }
    }

    /// Makes partitions if the log has come into another one; returns at once.
    pub(crate) fn keep_ahead_of(&self, position: Position) {
        let partition = position.get() / self.positions;
        let is_supplied = self.shared.supplied.load(Ordering::Relaxed) >= partition;
        if is_supplied || self.shared.is_making.swap(true, Ordering::Relaxed) {
            return;
        }
        let (pool, shared) = (self.pool.clone(), Arc::clone(&self.shared));
        tokio::spawn(async move {
            let making = sqlx::query!("SELECT eventstore.add_partitions()").execute(&pool);
            match within(making).await {
                Ok(_) => shared.supplied.store(partition, Ordering::Relaxed),
                Err(error) => {
                    tracing::error!(%error, "could not make partitions of the log, will try again");
                }
            }
            shared.is_making.store(false, Ordering::Relaxed);
        });
    }
}

impl EventStore {
    /// Makes partitions of the log and the outbox until some of each are empty. Safe to repeat, and at
    /// the same time.
    ///
    /// # Errors
    /// The database cannot be reached, or refuses.
    pub async fn add_partitions(&self) -> Result<(), sqlx::Error> {
        let making = sqlx::query!("SELECT eventstore.add_partitions()").execute(self.pool());
        within(making).await.map(drop)
    }
}
