//! Appends made short.

use eventstore::{
    Append, AppendError, CommandId, EventId, EventStore, EventType, ExpectedVersion, Fingerprint,
    Metadata, NewEvent, Position, Receipt, RecordedEvent, StreamId, StreamVersion,
};
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
        stream: stream(name),
        id: EventId::new(id()),
        event_type: EventType { name: "test.happened".to_owned(), schema_version: 1 },
        payload: "{}".to_owned(),
        subject: Some("test.happened.v1".to_owned()),
    }
}

/// `count` events on the stream `name`, under a command of its own.
pub(crate) fn to(name: &str, expected: ExpectedVersion, count: usize) -> Append {
    Append {
        command_id: CommandId::new(id()),
        fingerprint: Fingerprint::of(name.as_bytes()),
        metadata: Metadata {
            actor: "test".to_owned(),
            correlation_id: id(),
            causation_id: None,
            trace: None,
        },
        expectations: vec![(stream(name), expected)],
        events: (0..count).map(|_| event(name)).collect(),
        claims: Vec::new(),
    }
}

pub(crate) async fn append(store: &EventStore, append: Append) -> Result<Receipt, AppendError> {
    store.append(append).await
}

/// The whole log.
pub(crate) async fn all(store: &EventStore) -> Vec<RecordedEvent> {
    let head = store.head().await.unwrap();
    let events = store.read_log(Position::START, head, None, u16::MAX).await.unwrap();
    assert!(events.len() < usize::from(u16::MAX), "read all of it");
    events
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
