//! Retiring what is published, by whole ranges of the outbox, under the lease.

use std::time::Duration;

use eventstore::{Cursor, EventStore, Retirement};
use tokio::time::Instant;

/// How far behind the cursor the outbox is kept: a stream that lost no more is published again
/// without looking at events that nobody is told of.
const MARGIN: u32 = 10_000;

/// How often is looked whether there is something to retire.
const EVERY: Duration = Duration::from_secs(1);

/// How long the outbox is left alone when somebody keeps it locked: each attempt may hold up an
/// append for an instant.
const LATER: Duration = Duration::from_secs(5);

/// When to look next.
pub(super) struct Retention {
    due: Instant,
}

impl Retention {
    pub(super) fn new() -> Self {
        Self { due: Instant::now() + EVERY }
    }

    pub(super) fn is_due(&self) -> bool {
        Instant::now() >= self.due
    }

    /// Retires one partition, if one is published. What goes wrong is no reason to stop publishing.
    pub(super) async fn retire(&mut self, store: &EventStore, cursor: &Cursor) {
        let pause = match store.retire_outbox(cursor, MARGIN).await {
            Ok(Retirement::UpTo(floor)) => {
                tracing::info!(%floor, "retired a part of the outbox");
                Duration::ZERO
            }
            Ok(Retirement::Nothing) => EVERY,
            Ok(Retirement::Busy) => {
                tracing::info!("somebody keeps the outbox locked, it is retired later");
                LATER
            }
            Err(error) => {
                tracing::warn!(%error, "could not retire a part of the outbox, will try again");
                LATER
            }
        };
        self.due = Instant::now() + pause;
    }
}
