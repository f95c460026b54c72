//! Appends made short.

use eventstore::{
    Append, AppendError, CommandId, EventStore, EventType, ExpectedVersion, Filter, Fingerprint,
    Metadata, NewEvent, Position, Receipt, RecordedEvent, StreamId, StreamVersion,
};
use futures_util::TryStreamExt;
use sqlx::migrate::Migrator;
use testkit::TestDatabase;
use uuid::Uuid;

pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// A log of the test's own.
pub(crate) async fn log() -> (TestDatabase, EventStore) {
    let database = TestDatabase::create(&MIGRATOR).await;
    let store = EventStore::open(database.pool()).await.unwrap();
    (database, store)
}

pub(crate) fn stream(name: &str) -> StreamId {
    StreamId::new(name).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "tests of the store have no use for repeatable ids")]
pub(crate) fn id() -> Uuid {
    Uuid::now_v7()
}

pub(crate) fn exactly(version: i64) -> ExpectedVersion {
    ExpectedVersion::Exact(StreamVersion::new(version))
}

pub(crate) fn event(name: &str) -> NewEvent {
    NewEvent {
        subject: Some("test.happened.v1".to_owned()),
        ..NewEvent::new(stream(name), EventType::new("test.happened", 1), "{}")
    }
}

/// `count` events on the stream `name`, under a command of its own.
pub(crate) fn to(name: &str, expected: ExpectedVersion, count: usize) -> Append {
    let metadata = Metadata {
        actor: "test".to_owned(),
        correlation_id: id(),
        causation_id: None,
        trace: None,
    };
    Append {
        expectations: vec![(stream(name), expected)],
        events: (0..count).map(|_| event(name)).collect(),
        ..Append::new(CommandId::new(id()), Fingerprint::of(name.as_bytes()), metadata)
    }
}

pub(crate) async fn append(store: &EventStore, append: Append) -> Result<Receipt, AppendError> {
    store.append(append).await
}

/// The whole log.
pub(crate) async fn all(store: &EventStore) -> Vec<RecordedEvent> {
    let events = store.read_log(Filter::everything(), Position::START, Position::MAX);
    events.try_collect().await.unwrap()
}

/// Law 2, looked at: positions and versions run 1, 2, 3 … and time does not go back.
pub(crate) fn assert_gapless(events: &[RecordedEvent]) {
    let mut versions = std::collections::HashMap::new();
    for (position, event) in (1..).zip(events) {
        assert_eq!(event.position.get(), position, "positions have no gap");
        let version = versions.entry(event.stream.clone()).or_insert(0);
        *version += 1;
        assert_eq!(event.version.get(), *version, "versions of {} have no gap", event.stream);
    }
    assert!(events.is_sorted_by_key(|event| event.recorded_at), "time does not go back");
}
