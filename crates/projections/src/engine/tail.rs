//! The end of the log, read once for all read models of a process.
//!
//! A follower that is further behind reads the log itself.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use eventstore::{EventStore, Filter, Position, RecordedEvent, Wakeup};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::attempts::pause_after;

/// Events read at once.
const PAGE: u16 = 1_000;

/// Pages that are kept for followers that are a little behind.
const PAGES: usize = 8;

/// Most bytes of payload that are kept.
const BYTES: usize = 16 << 20;

#[derive(Debug, Default)]
pub(super) struct Tail {
    recent: Mutex<Recent>,
    /// Up to where it has read.
    reached: watch::Sender<Position>,
    /// Where the log ends, as far as is known.
    end: watch::Sender<Position>,
    /// Whether anybody follows here.
    is_wanted: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Recent {
    /// The pages begin after this position and leave nothing out.
    after: Position,
    pages: VecDeque<Arc<Vec<RecordedEvent>>>,
    bytes: usize,
}

/// What comes after a position.
#[derive(Debug)]
pub(super) enum Next {
    /// Everything that was read after it; the first page may begin before it.
    Pages(Vec<Arc<Vec<RecordedEvent>>>),
    /// Nothing yet.
    Nothing,
    /// It is not kept any more; it was read up to here.
    Forgotten(Position),
}

impl Tail {
    /// What comes after `from`.
    pub(super) fn after(&self, from: Position) -> Next {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let reached = *self.reached.borrow();
        if from >= reached {
            return Next::Nothing;
        }
        if from < recent.after {
            return Next::Forgotten(reached);
        }
        let is_later = |page: &&Arc<Vec<RecordedEvent>>| {
            page.last().is_some_and(|event| event.position > from)
        };
        Next::Pages(recent.pages.iter().filter(is_later).cloned().collect())
    }

    /// Up to where it has read, now and later.
    pub(super) fn reached(&self) -> watch::Receiver<Position> {
        self.reached.subscribe()
    }

    /// Somebody has seen that the log goes up to `end`.
    pub(super) fn log_ends_at(&self, end: Position) {
        self.end.send_if_modified(|known| {
            let is_more = *known < end;
            *known = end.max(*known);
            is_more
        });
    }

    /// Whether anybody follows here.
    pub(super) fn set_wanted(&self, is_wanted: bool) {
        self.is_wanted.send_if_modified(|known| std::mem::replace(known, is_wanted) != is_wanted);
    }

    pub(super) async fn run(
        self: Arc<Self>,
        store: EventStore,
        mut wakeup: Wakeup,
        stop: CancellationToken,
    ) {
        let _ = stop.run_until_cancelled(Box::pin(self.read_for_ever(store, &mut wakeup))).await;
    }

    async fn read_for_ever(&self, store: EventStore, wakeup: &mut Wakeup) {
        let mut wanted = self.is_wanted.subscribe();
        let mut end = self.end.subscribe();
        let mut attempts: u32 = 0;
        loop {
            if !*wanted.borrow_and_update() {
                self.forget();
                let _ = wanted.changed().await;
                continue;
            }
            match self.read(&store).await {
                Ok(true) => attempts = 0,
                Ok(false) => {
                    attempts = 0;
                    let reached = *self.reached.borrow();
                    tokio::select! {
                        () = wakeup.notified() => {}
                        _ = end.wait_for(|end| *end > reached) => {}
                        _ = wanted.changed() => {}
                    }
                }
                Err(error) => {
                    if attempts == 0 {
                        tracing::warn!(%error, "the end of the log cannot be read, it is tried again");
                    }
                    attempts += 1;
                    tokio::time::sleep(pause_after(attempts)).await;
                }
            }
        }
    }

    async fn read(&self, store: &EventStore) -> Result<bool, sqlx::Error> {
        let reached = *self.reached.borrow();
        if reached == Position::START {
            // What is before is for those who are behind to read.
            let end = store.head().await?;
            self.begin_after(end);
            return Ok(false);
        }
        let page = store.read_page(&Filter::everything(), reached, Position::MAX, PAGE).await?;
        if page.events.is_empty() {
            return Ok(false);
        }
        self.keep(page.events, page.reached);
        Ok(true)
    }

    fn begin_after(&self, end: Position) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        *recent = Recent { after: end, ..Recent::default() };
        self.reached.send_replace(end);
    }

    fn keep(&self, events: Vec<RecordedEvent>, reached: Position) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.bytes += bytes(&events);
        recent.pages.push_back(Arc::new(events));
        while recent.pages.len() > PAGES || (recent.bytes > BYTES && recent.pages.len() > 1) {
            let Some(oldest) = recent.pages.pop_front() else { break };
            recent.bytes = recent.bytes.saturating_sub(bytes(&oldest));
            recent.after = oldest.last().map_or(recent.after, |event| event.position);
        }
        self.reached.send_replace(reached);
    }

    fn forget(&self) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        *recent = Recent::default();
        self.reached.send_replace(Position::START);
    }
}

fn bytes(events: &[RecordedEvent]) -> usize {
    events.iter().map(|event| event.payload.len()).sum()
}
