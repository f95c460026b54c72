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
        tenant: None,
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

/// Makes everything up to `position` older by some days.
pub(crate) async fn age(store: &EventStore, position: i64, days: i32) {
    let mut transaction = store.pool().begin().await.unwrap();
    // What no role of ours may: past the trigger that keeps the log as it was.
    sqlx::raw_sql("SET LOCAL session_replication_role = replica")
        .execute(&mut *transaction)
        .await
        .unwrap();
    for older in [
        "UPDATE eventstore.events SET recorded_at = recorded_at - make_interval(days => $2) WHERE position <= $1",
        "UPDATE eventstore.commands SET recorded_at = recorded_at - make_interval(days => $2) WHERE last_position <= $1",
    ] {
        sqlx::query(older).bind(position).bind(days).execute(&mut *transaction).await.unwrap();
    }
    transaction.commit().await.unwrap();
}

/// Forgets commands that are older than 30 days, by steps of so many positions; answers with how many
/// steps there were, and how many records went.
pub(crate) async fn forget(store: &EventStore, positions: u16) -> (u32, u64) {
    let (mut steps, mut records) = (0, 0);
    let month = std::time::Duration::from_hours(30 * 24);
    loop {
        let mut connection = store.pool().acquire().await.unwrap();
        let forgotten = EventStore::forget_commands_in(&mut connection, month, positions);
        let forgotten = forgotten.await.unwrap();
        (steps, records) = (steps + 1, records + forgotten.records);
        if !forgotten.are_more {
            return (steps, records);
        }
    }
}
