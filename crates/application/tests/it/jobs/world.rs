//! Runners with pools of their own on one ledger, and a clock that is moved.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use application::jobs::{
    Ended, Job, JobError, Missed, Outcome, Run, Runner, RunnerStatus, Schedule,
};
use application::ports::Clock;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use testkit::{TestDatabase, eventually};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::MIGRATOR;

/// Longer than anything takes that works.
pub(super) const LIMIT: Duration = Duration::from_secs(40);

pub(super) fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// A clock that only the test moves.
#[derive(Debug)]
struct MovedClock(Mutex<DateTime<Utc>>);

impl Clock for MovedClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap()
    }
}

/// Which process ended an attempt of which job, and how.
type Attempt = (String, &'static str, Outcome);

pub(super) struct World {
    database: TestDatabase,
    clock: Arc<MovedClock>,
    tick: watch::Sender<()>,
    ended: Arc<Mutex<Vec<Attempt>>>,
    schedules: Mutex<BTreeMap<&'static str, Schedule>>,
}

/// A runner, as if it were a process.
pub(super) struct Process {
    stop: CancellationToken,
    running: JoinHandle<()>,
}

/// A row of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Row {
    pub(super) slot: DateTime<Utc>,
    pub(super) state: String,
    pub(super) attempts: i32,
    pub(super) epoch: i64,
    pub(super) owner: Option<String>,
    pub(super) outcome: Option<String>,
}

impl World {
    pub(super) async fn new(now: &str) -> Self {
        let database = TestDatabase::create(&MIGRATOR).await;
        let effects = "CREATE TABLE effects (job text, slot timestamptz, process text)";
        sqlx::raw_sql(effects).execute(&database.pool()).await.unwrap();
        Self {
            database,
            clock: Arc::new(MovedClock(Mutex::new(at(now)))),
            tick: watch::Sender::new(()),
            ended: Arc::default(),
            schedules: Mutex::default(),
        }
    }

    pub(super) fn pool(&self) -> PgPool {
        self.database.pool()
    }

    /// Starts a runner with connections of its own.
    pub(super) async fn start(
        &self,
        name: &str,
        jobs: impl Fn(PgPool, String) -> Vec<Job>,
    ) -> Process {
        self.start_with_status(name, jobs).await.0
    }

    /// Starts a runner that can be asked how it is doing.
    pub(super) async fn start_with_status(
        &self,
        name: &str,
        jobs: impl Fn(PgPool, String) -> Vec<Job>,
    ) -> (Process, watch::Receiver<RunnerStatus>) {
        let pool = PgPoolOptions::new().max_connections(6).connect(self.database.url());
        let pool = pool.await.unwrap();
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let jobs = jobs(pool.clone(), name.to_owned());
        let schedules = jobs.iter().map(|job| (job.name, job.schedule.clone()));
        self.schedules.lock().unwrap().extend(schedules);
        let (ended, who) = (Arc::clone(&self.ended), name.to_owned());
        let runner = Runner::new(pool, name.to_owned(), clock, jobs, self.tick.subscribe())
            .observed(move |one: &Ended| {
                ended.lock().unwrap().push((who.clone(), one.job, one.outcome));
            });
        let (stop, status) = (CancellationToken::new(), runner.status());
        let running = tokio::spawn(runner.run(stop.clone()));
        (Process { stop, running }, status)
    }

    /// Three of them.
    pub(super) async fn start_three(
        &self,
        jobs: impl Fn(PgPool, String) -> Vec<Job> + Copy,
    ) -> Vec<Process> {
        let mut processes = Vec::new();
        for name in ["first", "second", "third"] {
            processes.push(self.start(name, jobs).await);
        }
        processes
    }

    /// It is `now` for all.
    pub(super) fn set(&self, now: DateTime<Utc>) {
        *self.clock.0.lock().unwrap() = now;
        self.tick.send_replace(());
    }

    /// Waits until everything that is due now is entered, and nothing is due or runs.
    pub(super) async fn settles(&self) {
        let now = self.clock.now();
        let schedules = self.schedules.lock().unwrap().clone();
        eventually(LIMIT, "everything that is due to be done", async || {
            self.tick.send_replace(());
            let plans = sqlx::query_as("SELECT job, upto FROM jobs.plans");
            let plans: BTreeMap<String, DateTime<Utc>> =
                plans.fetch_all(&self.pool()).await.unwrap().into_iter().collect();
            let is_planned = schedules.iter().all(|(job, schedule)| {
                plans
                    .get(*job)
                    .is_some_and(|upto| schedule.next(*upto).is_none_or(|next| next > now))
            });
            let open = "SELECT count(*) FROM jobs.runs WHERE state IN ('due', 'running')";
            let open: i64 = sqlx::query_scalar(open).fetch_one(&self.pool()).await.unwrap();
            if is_planned && open == 0 { Ok(()) } else { Err((plans, open)) }
        })
        .await;
    }

    /// Waits until the ledger of `job` is as `expected` says.
    pub(super) async fn eventually(
        &self,
        job: &str,
        expected: impl Fn(&[Row]) -> bool,
    ) -> Vec<Row> {
        eventually(LIMIT, "the ledger", async || {
            self.tick.send_replace(());
            let rows = self.ledger(job).await;
            if expected(&rows) { Ok(rows) } else { Err(rows) }
        })
        .await
    }

    pub(super) async fn ledger(&self, job: &str) -> Vec<Row> {
        sqlx::query_as(
            "SELECT slot, state, attempts, epoch, owner, outcome FROM jobs.runs WHERE job = $1 ORDER BY slot",
        )
        .bind(job)
        .fetch_all(&self.pool())
        .await
        .unwrap()
    }

    /// The slots of `job` in a state.
    pub(super) async fn slots(&self, job: &str, state: &str) -> Vec<DateTime<Utc>> {
        let rows = self.ledger(job).await.into_iter();
        rows.filter(|row| row.state == state).map(|row| row.slot).collect()
    }

    /// What the work of `job` has done, in the order of its slots.
    pub(super) async fn effects(&self, job: &str) -> Vec<DateTime<Utc>> {
        sqlx::query_scalar("SELECT slot FROM effects WHERE job = $1 ORDER BY slot")
            .bind(job)
            .fetch_all(&self.pool())
            .await
            .unwrap()
    }

    /// What runners told of ended attempts.
    pub(super) fn ended(&self) -> Vec<Attempt> {
        self.ended.lock().unwrap().clone()
    }

    /// As if the owner of what runs had said nothing for long.
    pub(super) async fn leases_run_out(&self) {
        sqlx::query("UPDATE jobs.runs SET lease_until = clock_timestamp() WHERE state = 'running'")
            .execute(&self.pool())
            .await
            .unwrap();
        self.tick.send_replace(());
    }
}

impl Process {
    /// Tells it to stop, and waits until it has.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.running.await.unwrap();
    }

    /// As if it were killed.
    pub(super) async fn abort(self) {
        self.running.abort();
        assert!(self.running.await.unwrap_err().is_cancelled());
    }
}

pub(super) async fn stop_all(processes: Vec<Process>) {
    for process in processes {
        process.stop().await;
    }
}

/// A job whose work writes down that it was done, with its schedule on the clocks of `zone`.
pub(super) fn writer(
    name: &'static str,
    (expression, zone): (&str, Tz),
    missed: Missed,
    (pool, process): (PgPool, String),
) -> Job {
    let schedule = Schedule::new(expression, zone).unwrap();
    let job = Job::new(name, "writes", schedule, move |run: Run| {
        write(pool.clone(), name, process.clone(), run)
    });
    Job { missed, ..job }
}

/// Writes it down, under the lease.
pub(super) async fn write(
    pool: PgPool,
    job: &str,
    process: String,
    run: Run,
) -> Result<String, JobError> {
    let mut transaction = pool.begin().await?;
    run.fence(&mut transaction).await?;
    sqlx::query("INSERT INTO effects VALUES ($1, $2, $3)")
        .bind(job)
        .bind(run.slot())
        .bind(&process)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(format!("written by {process}"))
}
