//! The servers, and ways to them.

use std::path::Path;

use eventstore::{
    Append, CommandId, EventStore, EventType, ExpectedVersion, Filter, Fingerprint, Metadata,
    NewEvent, Position, RecordedEvent, StreamId, StreamVersion,
};
use futures_util::TryStreamExt;
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use testkit::{PgBouncer, Postgres, TestDatabase};
use uuid::Uuid;

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// What the pooler does with settings that a client wants to begin with.
#[derive(Clone, Copy)]
pub(crate) enum Unknown {
    Refused,
    Ignored,
}

/// A server and the pooler in front of it.
pub(crate) struct Site {
    pub(crate) pgbouncer: PgBouncer,
    pub(crate) postgres: Postgres,
}

impl Site {
    /// With the settings that `docs/operations.md` asks for.
    pub(crate) fn start(program: &Path, unknown: Unknown) -> Result<Self, testkit::Error> {
        let postgres = Postgres::start_ephemeral()?;
        let ignore = match unknown {
            Unknown::Refused => "ignore_startup_parameters = extra_float_digits",
            Unknown::Ignored => "ignore_startup_parameters = extra_float_digits, options",
        };
        let settings = ["max_prepared_statements = 200", "server_login_retry = 1", ignore];
        let pgbouncer = PgBouncer::start_ephemeral_with(program, &postgres, &settings)?;
        Ok(Self { pgbouncer, postgres })
    }

    /// A migrated database, which is made without the pooler.
    pub(crate) async fn database(&self) -> TestDatabase {
        TestDatabase::create_on(&self.postgres, &MIGRATOR).await
    }

    /// A pool of `most` clients of the pooler.
    pub(crate) async fn pool(&self, database: &TestDatabase, most: u32) -> PgPool {
        let options: PgConnectOptions = database.url().parse().expect("a URL");
        let options = options.port(self.pgbouncer.port());
        let pool = PgPoolOptions::new().max_connections(most).connect_with(options).await;
        pool.expect("the pooler lets us in")
    }

    /// A store as a process of its own would open it: through the pooler.
    pub(crate) async fn store(&self, database: &TestDatabase) -> EventStore {
        EventStore::open(self.pool(database, 8).await).await.expect("a log")
    }
}

pub(crate) fn stream(name: &str) -> StreamId {
    StreamId::new(name).expect("a short name")
}

pub(crate) fn exactly(version: i64) -> ExpectedVersion {
    ExpectedVersion::Exact(StreamVersion::new(version))
}

pub(crate) fn id() -> Uuid {
    Uuid::from_u128(rand::random())
}

pub(crate) fn metadata() -> Metadata {
    Metadata {
        actor: "test".to_owned(),
        tenant: None,
        correlation_id: id(),
        causation_id: None,
        trace: None,
    }
}

/// `count` events on the stream `name`, under a command of its own.
pub(crate) fn to(name: &str, expected: ExpectedVersion, count: usize) -> Append {
    let event = NewEvent {
        subject: Some("test.happened.v1".to_owned()),
        ..NewEvent::new(stream(name), EventType::new("test.happened", 1), r#"{"a":1}"#)
    };
    Append {
        expectations: vec![(stream(name), expected)],
        events: vec![event; count],
        ..Append::new(CommandId::new(id()), Fingerprint::of(name.as_bytes()), metadata())
    }
}

/// The whole log, which has no gap.
pub(crate) async fn log(store: &EventStore) -> Vec<RecordedEvent> {
    let log = store.read_log(Filter::everything(), Position::START, Position::MAX);
    let log: Vec<_> = log.try_collect().await.expect("the log");
    assert_gapless(&log);
    log
}

/// Law 2: positions and versions run 1, 2, 3 … and time does not go back.
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
