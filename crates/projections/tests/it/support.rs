//! One test's log and its workers, and what is asked of both.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use adapters::{SystemClock, TimeOrderedIds};
use application::CommandBus;
use application::ports::IdSource;
use eventstore::{EventStore, Keyring, Position, Wakeup};
use projections::comparison::Comparison;
use projections::engine::{Engine, Reached};
use projections::rebuild::{self, Options, Progress, RebuildError, Request};
use projections::{Projection, Source, Status, Worker, digests, generation, verify};
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use testkit::{TestDatabase, eventually};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// For what is personal in the log.
const KEYS: &str = "test=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

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
        let world = Self::without_models().await;
        projections::prepare(&world.pool(), projections::ALL).await.unwrap();
        world
    }

    /// A log of the test's own.
    pub(crate) async fn without_models() -> Self {
        let database = TestDatabase::create(&MIGRATOR).await;
        let store = EventStore::open(database.pool()).await.unwrap();
        let bus = CommandBus::new(store.clone(), Arc::new(SystemClock), Arc::new(TimeOrderedIds));
        let keys = KEYS.parse().unwrap();
        let keyring = Keyring::connect(&store, keys, NonZeroUsize::MIN).await.unwrap();
        let bus = bus.with_personal_data(keyring).await.unwrap();
        Self { database, store, bus }
    }

    pub(crate) fn pool(&self) -> PgPool {
        self.database.pool()
    }

    /// The log, read as today's domain says it.
    pub(crate) fn source(&self) -> Source {
        Source { store: self.store.clone(), decode: |recorded| Ok(application::decode(recorded)?) }
    }

    /// Starts a process that keeps every read model.
    pub(crate) fn follow(&self) -> Running {
        self.follow_those(projections::ALL)
    }

    /// Starts a process that keeps `projections`.
    pub(crate) fn follow_those(&self, projections: &'static [&'static Projection]) -> Running {
        let (wakeup, changed) = self.wakeups();
        let engine = Engine::new(self.source(), projections, worker(), wakeup, changed);
        Running::of(engine)
    }

    fn wakeups(&self) -> (Wakeup, Wakeup) {
        (Wakeup::listen(self.pool()), projections::engine::changes(self.pool()))
    }

    /// Waits until everything in the log has taken effect on `projection`, or is parked.
    pub(crate) async fn catches_up(&self, projection: &Projection) {
        let head = self.store.head().await.unwrap();
        eventually(LIMIT, "the projection to catch up", || async {
            match self.position(projection).await {
                Some(position) if position >= head => Ok(()),
                position => Err(format!("{position:?} of {head}")),
            }
        })
        .await;
    }

    /// Where the live generation is, if there is one.
    pub(crate) async fn position(&self, projection: &Projection) -> Option<Position> {
        let generations = generation::of(&self.pool(), &projection.model()).await.unwrap();
        let live = generations.into_iter().find(|known| known.state == generation::State::Live);
        live.map(|live| live.position)
    }

    pub(crate) async fn all_catch_up(&self) {
        for projection in projections::ALL {
            self.catches_up(projection).await;
        }
    }

    /// Begins to make `projection` anew, and starts a process that does it.
    pub(crate) async fn begin_rebuild(
        &self,
        projection: &'static Projection,
        options: Options,
    ) -> Result<(i64, Running), RebuildError> {
        let worker = worker();
        let request = Request { projection, worker: &worker, by: "test" };
        let id = rebuild::begin(&self.pool(), request, options).await?;
        Ok((id, self.make_as(worker)))
    }

    /// Starts a process that makes what is to be made by `worker`.
    pub(crate) fn make_as(&self, worker: Worker) -> Running {
        let (wakeup, changed) = self.wakeups();
        let all = projections::ALL;
        Running::of(Engine::only_making(self.source(), all, worker, wakeup, changed))
    }

    /// Makes `projection` anew, and switches to that.
    pub(crate) async fn rebuild(&self, projection: &'static Projection) -> Progress {
        let (id, making) = self.begin_rebuild(projection, FULL_SPEED).await.unwrap();
        let progress = self.reaches(id, "live").await;
        making.stop().await;
        progress
    }

    /// Waits until the generation `id` is in `state`.
    pub(crate) async fn reaches(&self, id: i64, state: &str) -> Progress {
        eventually(LIMIT, "the generation to come that far", || async {
            let progress = rebuild::progress(&self.pool(), id).await.unwrap();
            match progress {
                Some(progress) if progress.state == state => Ok(progress),
                progress => Err(progress),
            }
        })
        .await
    }

    /// Every row of every table of `projection`, table by table.
    pub(crate) async fn rows(&self, projection: &Projection) -> Vec<String> {
        let mut connection = self.pool().acquire().await.unwrap();
        rows_in(&mut connection, &projection.model()).await
    }

    /// Checks that every read model is what one made from the log is, row by row, and that none has
    /// skipped or doubled anything.
    pub(crate) async fn is_as_the_log_says(&self) {
        assert_eq!(digests::count_all(&self.source(), projections::ALL).await.unwrap(), [""; 0]);
        for projection in projections::ALL {
            let comparison = self.verify(projection).await;
            assert!(comparison.is_equal(), "{comparison:#?}");
            assert_eq!((comparison.parked_live, comparison.parked_new), (0, 0));
        }
    }

    /// Compares the live generation with one made from the log.
    pub(crate) async fn verify(&self, projection: &'static Projection) -> Comparison {
        let worker = worker();
        let making = self.make_as(worker.clone());
        let request = Request { projection, worker: &worker, by: "test" };
        let pool = self.pool();
        let verified = verify::verify(&pool, request, FULL_SPEED, |_| {});
        let comparison = tokio::time::timeout(LIMIT, verified).await.unwrap().unwrap();
        making.stop().await;
        comparison
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

/// A rebuild that cares about nobody else.
pub(crate) const FULL_SPEED: Options = Options { lanes: 2, slowdown: None, hold: false };

/// A process among those that keep read models.
pub(crate) fn worker() -> Worker {
    Worker { id: id(), name: "test".to_owned() }
}

/// A process that keeps read models.
pub(crate) struct Running {
    statuses: Vec<(&'static str, watch::Receiver<Status>)>,
    pub(crate) reached: Reached,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn of(engine: Engine) -> Self {
        let (statuses, reached) = (engine.statuses(), engine.reached());
        let stop = CancellationToken::new();
        let task = tokio::spawn(engine.run(stop.clone()));
        Self { statuses, reached, stop, task }
    }

    pub(crate) fn status(&self, projection: &Projection) -> Status {
        let (_, status) = self.statuses.iter().find(|(name, _)| *name == projection.name).unwrap();
        status.borrow().clone()
    }

    /// Waits until the status is as wanted.
    pub(crate) async fn comes_to(
        &self,
        projection: &Projection,
        what: &str,
        wanted: impl Fn(&Status) -> bool,
    ) -> Status {
        eventually(LIMIT, what, || {
            let now = self.status(projection);
            let reached = wanted(&now);
            async move { if reached { Ok(now) } else { Err(now) } }
        })
        .await
    }

    /// Stops in good order.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(LIMIT, self.task).await.expect("stops in time").unwrap();
    }

    /// Dies at once, wherever it is: says nothing, gives nothing up.
    pub(crate) async fn abort(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}
