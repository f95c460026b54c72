//! Those who watch the log while everything happens.

use std::collections::HashMap;
use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, Utc};
use eventstore::{EventId, EventStore, Filter, Position, RecordedEvent, StreamId, Wakeup};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Events that the pager looks at again.
const AGAIN: u16 = 50;

/// Somebody who reads to the end that is told at last, and remembers all of it.
pub(crate) struct Reader {
    reading: JoinHandle<Seen>,
    end: watch::Sender<Option<Position>>,
}

/// What a reader has seen. Whatever it is given next must continue that without a gap, which leaves
/// no place for anything that comes late.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) ids: Vec<EventId>,
    pub(crate) pages: usize,
    versions: HashMap<StreamId, i64>,
    last: Option<DateTime<Utc>>,
}

impl Seen {
    fn add(&mut self, events: Vec<RecordedEvent>) {
        self.pages += 1;
        for event in events {
            self.ids.push(event.id);
            let expected = i64::try_from(self.ids.len()).expect("a small number");
            assert_eq!(event.position.get(), expected, "the next position, and no other");
            assert!(self.last <= Some(event.recorded_at), "time does not go back");
            self.last = Some(event.recorded_at);
            let version = self.versions.entry(event.stream).or_default();
            *version += 1;
            assert_eq!(event.version.get(), *version, "the next version, and no other");
        }
    }

    fn position(&self) -> Position {
        Position::new(i64::try_from(self.ids.len()).expect("a small number"))
    }
}

impl Reader {
    /// Follows by a subscription.
    pub(crate) fn subscribe(store: EventStore) -> Self {
        Self::start(async move |mut end: watch::Receiver<Option<Position>>| {
            let wakeup = Wakeup::listen(store.pool().clone());
            let mut subscription = store.subscribe(Filter::everything(), Position::START, wakeup);
            let mut seen = Seen::default();
            loop {
                if end.borrow().is_some_and(|end| subscription.position() >= end) {
                    return seen;
                }
                tokio::select! {
                    page = subscription.next() => seen.add(page.expect("the log lost nothing").events),
                    _ = end.changed() => {}
                }
            }
        })
    }

    /// Asks for page after page, and each time looks again at what it saw last.
    pub(crate) fn page(store: EventStore) -> Self {
        Self::start(async move |end: watch::Receiver<Option<Position>>| {
            let mut seen = Seen::default();
            loop {
                let known = seen.ids.len().saturating_sub(usize::from(AGAIN));
                let from = Position::new(i64::try_from(known).expect("a small number"));
                let everything = Filter::everything();
                let page = store.read_page(&everything, from, Position::MAX, 4 * AGAIN).await;
                // A server that was killed comes back.
                let Ok(page) = page else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                let mut again = page.events;
                let was_seen = seen.ids.len() - known;
                assert!(again.len() >= was_seen, "nothing is gone");
                let new = again.split_off(was_seen);
                let again: Vec<_> = again.iter().map(|event| event.id).collect();
                assert_eq!(again, seen.ids[known..], "nothing has changed, and nothing came late");
                if new.is_empty() {
                    if end.borrow().is_some_and(|end| seen.position() >= end) {
                        return seen;
                    }
                    // So that it leaves the machine to others.
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                seen.add(new);
            }
        })
    }

    fn start<F: Future<Output = Seen> + Send + 'static>(
        read: impl FnOnce(watch::Receiver<Option<Position>>) -> F,
    ) -> Self {
        let (end, until) = watch::channel(None);
        Self { reading: tokio::spawn(read(until)), end }
    }

    /// Whether it found nothing wrong so far.
    pub(crate) fn is_well(&self) -> bool {
        !self.reading.is_finished()
    }

    /// What it saw up to `end`.
    pub(crate) async fn finish(self, end: Position) -> Seen {
        self.end.send_replace(Some(end));
        self.reading.await.expect("the reader")
    }
}
