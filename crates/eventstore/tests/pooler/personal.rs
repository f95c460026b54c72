//! Erasures reach other processes, though no notification does.

use std::num::NonZeroUsize;
use std::time::Duration;

use eventstore::{
    CommandId, EventStore, EventType, ExpectedVersion, KeyEncryptionKeys, Keyring, NewEvent,
    Personal, Place, RecordedEvent, StreamSlice, Subject,
};
use futures_util::TryStreamExt;
use tokio::time::{Instant, sleep_until};

use crate::sessions;
use crate::site::{Site, id, metadata, stream, to};

/// What is promised.
const SECOND: Duration = Duration::from_secs(1);

const TIMES: i64 = 5;

pub(crate) async fn erased_everywhere(site: &Site) -> String {
    let database = site.database().await;
    let (store, other) = (site.store(&database).await, site.store(&database).await);
    let (keyring, others) = (keyring(&store).await, keyring(&other).await);
    let name = stream("personal");
    for number in 0..TIMES {
        let subject = Subject::new(format!("customer:{number}")).expect("a short name");
        let value = Personal::new(subject.clone(), "ada@example.org".to_owned());
        let payload = keyring.seal(&Place::event(&name), || serde_json::to_string(&value)).await;
        let event = EventType::new("test.registered", 1);
        let mut append = to("personal", ExpectedVersion::Any, 0);
        append.events.push(NewEvent::new(name.clone(), event, payload.expect("sealed")));
        store.append(append).await.expect("appended");

        let opened = open(&others, &other).await;
        let kept = opened.last().expect("it was appended");
        assert_eq!(kept.value().map(String::as_str), Some("ada@example.org"));
        let erased = keyring.erase(&subject, CommandId::new(id()), metadata()).await;
        erased.expect("erased");
        sleep_until(Instant::now() + SECOND).await;
        assert!(kept.is_erased(), "also what was opened before");
        assert!(open(&others, &other).await.iter().all(Personal::is_erased));
    }
    sessions::assert_nothing_is_left(site, &database).await;
    format!("{TIMES} erasures were known elsewhere a second later")
}

async fn keyring(store: &EventStore) -> Keyring {
    let keys = KeyEncryptionKeys::new("first", [1; 32]).expect("a key");
    let cached = NonZeroUsize::new(8).expect("not zero");
    Keyring::connect(store, keys, cached).await.expect("a keyring")
}

async fn open(keyring: &Keyring, store: &EventStore) -> Vec<Personal<String>> {
    let events = store.read_stream(&stream("personal"), StreamSlice::ALL);
    let events: Vec<RecordedEvent> = events.try_collect().await.expect("a stream");
    let decode = |event: &RecordedEvent| serde_json::from_str(&event.payload);
    keyring.open_events(&events, decode).await.expect("opened")
}
