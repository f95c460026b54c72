//! Subscriptions that remember all they saw.

use std::time::Duration;

use eventstore::{EventStore, Filter, Position, RecordedEvent, Wakeup};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long the end of the log is waited for.
const LIMIT: Duration = Duration::from_mins(2);

/// One that follows, from its beginning, what passes a filter.
pub(crate) struct Follower {
    filter: Filter,
    following: JoinHandle<Vec<RecordedEvent>>,
    end: watch::Sender<Option<Position>>,
}

impl Follower {
    pub(crate) fn start(store: &EventStore, filter: Filter) -> Self {
        let (end, mut until) = watch::channel(None::<Position>);
        let wakeup = Wakeup::listen(store.pool().clone());
        let mut subscription = store.subscribe(filter.clone(), Position::START, wakeup);
        let following = tokio::spawn(async move {
            let mut seen: Vec<RecordedEvent> = Vec::new();
            loop {
                if until.borrow().is_some_and(|end| subscription.position() >= end) {
                    return seen;
                }
                let page = tokio::select! {
                    page = subscription.next() => page.expect("the log lost nothing"),
                    _ = until.changed() => continue,
                };
                let last = seen.last().map_or(Position::START, |event| event.position);
                assert!(page.events.first().is_none_or(|event| event.position > last));
                seen.extend(page.events);
            }
        });
        Self { filter, following, end }
    }

    /// Waits until it has come to the end of `log`, and compares.
    pub(crate) async fn assert_saw(self, log: &[RecordedEvent]) {
        self.end.send_replace(log.last().map(|event| event.position));
        let seen = timeout(LIMIT, self.following).await.expect("the end in time");
        let seen: Vec<_> = seen.expect("a follower").iter().map(|event| event.id).collect();
        let types = self.filter.types.as_deref();
        let categories = self.filter.categories.as_deref();
        let passes = |event: &&RecordedEvent| {
            let category = event.stream.as_str().split('-').next().unwrap_or_default();
            types.is_none_or(|types| types.iter().any(|name| **name == *event.event_type.name))
                && categories.is_none_or(|all| all.iter().any(|name| name == category))
        };
        let expected: Vec<_> = log.iter().filter(passes).map(|event| event.id).collect();
        assert!(!expected.is_empty(), "there was something to see");
        assert_eq!(seen, expected, "each event once, in order");
    }
}

/// Some of them on each of `stores`.
pub(crate) fn follow(stores: &[EventStore]) -> Vec<Follower> {
    let own = Filter { categories: Some(vec!["own".to_owned()]), ..Filter::default() };
    let filters = [Filter::everything(), own, Filter::types(["test.happened"])];
    let each = stores.iter().flat_map(|store| filters.iter().map(move |filter| (store, filter)));
    each.map(|(store, filter)| Follower::start(store, filter.clone())).collect()
}
