//! One test's log and its workers, and what is asked of both.

use std::sync::Arc;
use std::time::Duration;

use adapters::{SystemClock, TimeOrderedIds};
use application::CommandBus;
use application::ports::IdSource;
use eventstore::{Cursor, EventStore, Wakeup};
use projections::Projection;
use projections::worker::{Status, Worker};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use testkit::{TestDatabase, eventually};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// Longer than anything takes that works.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);

pub(crate) struct World {
    database: TestDatabase,
    pub(crate) store: EventStore,
    pub(crate) bus: CommandBus,
}

impl World {
    /// A log of the test's own, with empty read models.
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create(&MIGRATOR).await;
        projections::prepare(&database.pool(), projections::ALL).await.unwrap();
        let store = EventStore::open(database.pool()).await.unwrap();
        let bus = CommandBus::new(store.clone(), Arc::new(SystemClock), Arc::new(TimeOrderedIds));
        Self { database, store, bus }
    }

    pub(crate) fn pool(&self) -> PgPool {
        self.database.pool()
    }

    /// Starts a worker.
    pub(crate) fn follow(&self, projection: &'static Projection) -> Running {
        let wakeup = Wakeup::listen(self.pool());
        let worker = Worker::new(projection, self.store.clone(), wakeup);
        let status = worker.status();
        let stop = CancellationToken::new();
        let task = tokio::spawn(worker.run(stop.clone()));
        Running { status, stop, task }
    }

    /// Starts a worker for every projection.
    pub(crate) fn follow_all(&self) -> Vec<Running> {
        projections::ALL.iter().map(|projection| self.follow(projection)).collect()
    }

    /// Waits until everything in the log has taken effect on `projection`.
    pub(crate) async fn catches_up(&self, projection: &Projection) {
        let head = self.store.head().await.unwrap();
        eventually(LIMIT, "the projection to catch up", || async {
            let position = Cursor::peek(self.store.pool(), &projection.cursor_name()).await;
            match position.map_err(|error| error.to_string())? {
                Some(position) if position >= head => Ok(()),
                position => Err(format!("{position:?} of {head}")),
            }
        })
        .await;
    }

    pub(crate) async fn all_catch_up(&self) {
        for projection in projections::ALL {
            self.catches_up(projection).await;
        }
    }

    /// Every row of every table of `projection`, table by table.
    pub(crate) async fn rows(&self, projection: &Projection) -> Vec<String> {
        let mut connection = self.pool().acquire().await.unwrap();
        rows_in(&mut connection, &projection.schema_name()).await
    }

    /// Waits until `sessions` of this database wait for a lock.
    pub(crate) async fn wait_for_locks(&self, sessions: i64) {
        eventually(LIMIT, "sessions to wait for a lock", || async {
            let waiting: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
            )
            .fetch_one(&self.pool())
            .await
            .map_err(|error| error.to_string())?;
            if waiting >= sessions { Ok(()) } else { Err(format!("{waiting} wait")) }
        })
        .await;
    }
}

/// Every row of every table of `schema`, table by table, in the order of the keys.
pub(crate) async fn rows_in(connection: &mut PgConnection, schema: &str) -> Vec<String> {
    let tables: Vec<(String, String)> = sqlx::query_as(
        r"
        SELECT relname::text, pg_get_indexdef(indexrelid, 0, true)
        FROM pg_class
        JOIN pg_index ON indrelid = pg_class.oid AND indisprimary
        WHERE relnamespace = to_regnamespace($1) AND relkind = 'r'
        ORDER BY relname
        ",
    )
    .bind(schema)
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    assert!(!tables.is_empty(), "{schema} has tables, each with a key");
    let mut rows = Vec::new();
    for (table, index) in tables {
        let key = index.rsplit_once('(').unwrap().1.trim_end_matches(')');
        let query = format!(
            "SELECT '{table}: ' || to_json(t)::text FROM {schema}.{table} AS t ORDER BY {key}"
        );
        let of_table: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(query)).fetch_all(&mut *connection).await.unwrap();
        rows.extend(of_table);
    }
    rows
}

pub(crate) fn id() -> Uuid {
    TimeOrderedIds.next()
}

/// A worker that runs.
pub(crate) struct Running {
    status: watch::Receiver<Status>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Waits until the status is as wanted.
    pub(crate) async fn reaches(&self, what: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        eventually(LIMIT, what, || {
            let now = self.status();
            let reached = wanted(&now);
            async move { if reached { Ok(now) } else { Err(now) } }
        })
        .await
    }

    pub(crate) async fn follows(&self) {
        self.reaches("the worker to follow", |status| *status == Status::Following).await;
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(LIMIT, self.task).await.expect("stops in time").unwrap();
    }

    /// Dies at once, wherever it is.
    pub(crate) async fn abort(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}
