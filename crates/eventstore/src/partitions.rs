//! Keeps the log supplied with partitions.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use sqlx::PgPool;
use tokio::task::JoinHandle;

use crate::Position;
use crate::answer::within;

/// Makes partitions ahead of the log, in the background.
///
/// Each holds tens of millions of events and two are always empty, so nobody waits for one.
#[derive(Debug)]
pub(crate) struct Partitions {
    pool: PgPool,
    partition_events: i64,
    /// The number of the partition up to which enough are known to be ahead.
    supplied: Arc<AtomicI64>,
    making: Option<JoinHandle<()>>,
}

impl Partitions {
    pub(crate) fn new(pool: PgPool, partition_events: i64) -> Self {
        Self { pool, partition_events, supplied: Arc::new(AtomicI64::new(-1)), making: None }
    }

    /// Makes partitions if the log has come into another one; returns at once.
    pub(crate) fn keep_ahead_of(&mut self, position: Position) {
        let partition = position.get() / self.partition_events;
        let is_busy = self.making.as_ref().is_some_and(|making| !making.is_finished());
        if is_busy || self.supplied.load(Ordering::Relaxed) >= partition {
            return;
        }
        let (pool, supplied) = (self.pool.clone(), Arc::clone(&self.supplied));
        self.making = Some(tokio::spawn(async move {
            let making = sqlx::query!("SELECT eventstore.add_partitions()").execute(&pool);
            match within(making).await {
                Ok(_) => supplied.store(partition, Ordering::Relaxed),
                Err(error) => {
                    tracing::error!(%error, "could not make partitions of the log, will try again");
                }
            }
        }));
    }
}
