//! Following the log: catch up, then live.
//!
//! A subscription reads pages until it finds nothing more, then waits to be woken, or looks again
//! by itself after [`POLL`](crate::wakeup::POLL): a lost notification delays it and loses nothing.
//! It outlives lost connections. Because what a reader sees is always a prefix of the log (law 2),
//! one position is all it needs: it skips nothing and repeats nothing.
//!
//! Its position is in memory. Whoever must not lose it keeps it with the effect of the events: in
//! a [`Cursor`](crate::Cursor), or in a table of their own in the same transaction.

use std::time::Duration;

use crate::{EventId, EventStore, Filter, Page, Position, Wakeup};

/// Events of one page.
const PAGE: u16 = 1_000;

/// The longest pause between attempts to reach a database that is away.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Follows the log; made by [`EventStore::subscribe`].
#[derive(Debug)]
pub struct Subscription {
    store: EventStore,
    wakeup: Wakeup,
    filter: Filter,
    position: Position,
    last: Option<EventId>,
    /// Whether the database was away since the last page, and may have come back as another one.
    is_doubtful: bool,
}

/// The database came back without events that were seen: it was restored, or a standby that was
/// behind took over. Whoever took effect of them must decide what becomes of that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the log no longer holds the event that was seen last, up to position {position}")]
pub struct Rewound {
    /// Where the subscription was.
    pub position: Position,
}

impl EventStore {
    /// Follows the events after `after` that pass `filter`, from now on and for ever.
    #[must_use]
    pub fn subscribe(&self, filter: Filter, after: Position, wakeup: Wakeup) -> Subscription {
        let store = self.clone();
        Subscription { store, wakeup, filter, position: after, last: None, is_doubtful: false }
    }
}

impl Subscription {
    /// Everything up to here was looked at.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// The next page: waits until there is one. It may hold no event and only move on, past events
    /// that the filter does not pass.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Rewound`]; a database that is away is waited for.
    pub async fn next(&mut self) -> Result<Page, Rewound> {
        let mut attempts: u32 = 0;
        loop {
            match self.look().await {
                Ok(Some(page)) => {
                    self.position = page.reached;
                    self.last = page.events.last().map(|event| event.id).or(self.last);
                    return Ok(page);
                }
                Ok(None) if self.is_doubtful => {
                    return Err(Rewound { position: self.position });
                }
                Ok(None) => self.wakeup.wait().await,
                Err(error) => {
                    if attempts == 0 {
                        tracing::warn!(%error, position = %self.position, "a subscription cannot read, it tries again");
                    }
                    self.is_doubtful = true;
                    let pause = Duration::from_millis(50).saturating_mul(1 << attempts.min(10));
                    tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
                    attempts += 1;
                }
            }
        }
    }

    /// The next page if there is one. After a doubt is settled, `is_doubtful` says how.
    async fn look(&mut self) -> Result<Option<Page>, sqlx::Error> {
        let head = if self.is_doubtful || !self.filter.is_everything() {
            self.store.head().await?
        } else {
            Position::MAX
        };
        if self.is_doubtful {
            let seen = match self.last {
                Some(id) => self.store.event(id).await?.is_some(),
                None => true,
            };
            if !seen || head < self.position {
                return Ok(None);
            }
            self.is_doubtful = false;
        }
        let page = self.store.read_page(&self.filter, self.position, head, PAGE).await?;
        Ok((page.reached > self.position).then_some(page))
    }
}
