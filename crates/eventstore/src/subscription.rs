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
    /// The last event seen, by which a log that is no longer the same is told.
    last: Option<EventId>,
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
        Subscription { store, wakeup, filter, position: after, last: None }
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
                Ok(Look::Page(page)) => {
                    self.position = page.reached;
                    self.last = page.events.last().map(|event| event.id).or(self.last);
                    return Ok(page);
                }
                Ok(Look::Rewound) => return Err(Rewound { position: self.position }),
                Ok(Look::Nothing) => self.wakeup.wait().await,
                Err(error) => {
                    if attempts == 0 {
                        tracing::warn!(%error, position = %self.position, "a subscription cannot read, it tries again");
                    }
                    let pause = Duration::from_millis(50).saturating_mul(1 << attempts.min(10));
                    tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
                    attempts += 1;
                }
            }
        }
    }

    async fn look(&self) -> Result<Look, sqlx::Error> {
        let end = Position::MAX;
        let page = self.store.read_page(&self.filter, self.position, end, PAGE).await?;
        // After reading, because the pool may have come to another server meanwhile, unseen.
        let is_same = match self.last {
            Some(id) => self.store.event(id).await?.is_some(),
            None => page.reached > self.position || self.store.head().await? >= self.position,
        };
        Ok(match page {
            _ if !is_same => Look::Rewound,
            page if page.reached > self.position => Look::Page(page),
            _ => Look::Nothing,
        })
    }
}

/// What a look at the log has found.
enum Look {
    Page(Page),
    Nothing,
    Rewound,
}
