//! Watches the log while everything happens.

use eventstore::{EventId, EventStore, Filter, Position, Wakeup};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A subscription that remembers all it saw.
pub(crate) struct Reader {
    reading: JoinHandle<Vec<EventId>>,
    end: watch::Sender<Option<Position>>,
}

impl Reader {
    pub(crate) fn start(store: EventStore) -> Self {
        let (end, mut until) = watch::channel(None::<Position>);
        let reading = tokio::spawn(async move {
            let wakeup = Wakeup::listen(store.pool().clone());
            let mut subscription = store.subscribe(Filter::everything(), Position::START, wakeup);
            let mut seen = Vec::new();
            loop {
                if until.borrow().is_some_and(|end| subscription.position() >= end) {
                    return seen;
                }
                let page = tokio::select! {
                    page = subscription.next() => page.expect("the log lost nothing"),
                    _ = until.changed() => continue,
                };
                for event in page.events {
                    seen.push(event.id);
                    let expected = i64::try_from(seen.len()).expect("a small number");
                    assert_eq!(event.position.get(), expected, "the next position, and no other");
                }
            }
        });
        Self { reading, end }
    }

    /// What it saw up to `end`.
    pub(crate) async fn finish(self, end: Position) -> Vec<EventId> {
        self.end.send_replace(Some(end));
        self.reading.await.expect("the reader")
    }
}
