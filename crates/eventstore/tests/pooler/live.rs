//! How soon a follower knows: at the next look behind the pooler, at once with a way around it.

use std::time::Duration;

use eventstore::wakeup::POLL;
use eventstore::{EventStore, ExpectedVersion, Filter, Wakeup};
use testkit::TestDatabase;
use tokio::time::{Instant, timeout};

use crate::sessions;
use crate::site::{Site, to};

const TIMES: usize = 15;

pub(crate) async fn latency(site: &Site) -> String {
    let database: TestDatabase = site.database().await;
    let store = site.store(&database).await;
    let behind = median(&store, Wakeup::listen(store.pool().clone())).await;
    let around = median(&store, Wakeup::listen(database.pool())).await;
    assert!(around < POLL / 2, "with a pool of the server itself: {around:?}");
    sessions::assert_nothing_is_left(site, &database).await;
    format!("median {behind:?}; with a pool of the server itself for the wake-up {around:?}")
}

async fn median(store: &EventStore, wakeup: Wakeup) -> Duration {
    let head = store.head().await.expect("an answer");
    let mut subscription = store.subscribe(Filter::everything(), head, wakeup);
    // It is at the end and waits.
    assert!(timeout(POLL * 2, subscription.next()).await.is_err());
    let mut took = Vec::new();
    for _ in 0..TIMES {
        let append = to("live", ExpectedVersion::Any, 1);
        let began = Instant::now();
        let append = async { store.append(append).await.expect("appended") };
        let (_, page) = tokio::join!(append, subscription.next());
        assert_eq!(page.expect("the log lost nothing").events.len(), 1);
        took.push(began.elapsed());
    }
    took.sort_unstable();
    took[TIMES / 2]
}
