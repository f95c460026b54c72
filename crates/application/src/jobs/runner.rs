//! Plans and runs the jobs of a process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use eventstore::Wakeup;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::ledger::{CHANNEL, Ledger};
use super::planner::Planner;
use super::{Job, running};
use crate::ports::Clock;

/// How long nothing is looked at without a tick.
const WITHOUT_TICKS: Duration = Duration::from_secs(3);

/// How many jobs run at once in a process, each on a connection or so: roles share one pool.
const AT_ONCE: usize = 4;

/// Runs jobs; made by [`Runner::new`], works in [`Runner::run`].
pub struct Runner {
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    jobs: Vec<Arc<Job>>,
    ticks: watch::Receiver<()>,
    observe: Box<dyn Fn(&Ended) + Send + Sync>,
    status: watch::Sender<RunnerStatus>,
}

/// How a runner is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunnerStatus {
    /// It looks for runs and runs them.
    Working,
    /// It cannot look.
    Failing {
        /// What is wrong.
        error: String,
    },
}

/// An attempt of a run has ended.
#[derive(Debug)]
pub struct Ended {
    /// The job.
    pub job: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is done.
    Done,
    /// It failed, and is tried again.
    Failed,
    /// It failed, and is not tried again until somebody says so.
    Parked,
    /// The process stops, and another one may run it.
    GivenBack,
    /// Another process has it now, and what this one did of it is not recorded.
    Lost,
}

impl Outcome {
    /// All there are.
    pub const ALL: [Self; 5] =
        [Self::Done, Self::Failed, Self::Parked, Self::GivenBack, Self::Lost];

    /// For people and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Parked => "parked",
            Self::GivenBack => "given-back",
            Self::Lost => "lost",
        }
    }
}

impl Runner {
    /// Will run `jobs` as `owner`, a name for people, and look for slots by `clock` at each of `ticks`.
    #[must_use]
    pub fn new(
        pool: PgPool,
        owner: String,
        clock: Arc<dyn Clock>,
        jobs: Vec<Job>,
        ticks: watch::Receiver<()>,
    ) -> Self {
        Self {
            ledger: Ledger { pool, owner },
            clock,
            jobs: jobs.into_iter().map(Arc::new).collect(),
            ticks,
            observe: Box::new(|_| {}),
            status: watch::Sender::new(RunnerStatus::Working),
        }
    }

    /// Tells `observe` of each attempt that ends.
    #[must_use]
    pub fn observed(self, observe: impl Fn(&Ended) + Send + Sync + 'static) -> Self {
        Self { observe: Box::new(observe), ..self }
    }

    /// How it is doing, now and later.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<RunnerStatus> {
        self.status.subscribe()
    }

    /// Works until `stop`; then jobs are told to end, for some seconds, and what has not is given back,
    /// so that another process runs it at once.
    #[tracing::instrument(name = "jobs.run", skip_all)]
    pub async fn run(mut self, stop: CancellationToken) {
        let mut wakeup = Wakeup::listen_to(self.ledger.pool.clone(), CHANNEL);
        let mut planner = Planner::new(self.jobs.clone());
        let mut running = Running::default();
        while !stop.is_cancelled() {
            self.ticks.mark_unchanged();
            let looked = self.look(&mut planner, &mut running, &stop).await;
            self.report(looked);
            tokio::select! {
                () = stop.cancelled() => {}
                () = ticked(&mut self.ticks) => {}
                () = wakeup.notified() => {}
                // Ticks come by the time of day, and stay away while a clock that was put back catches up.
                () = tokio::time::sleep(WITHOUT_TICKS) => {}
                Some(ended) = running.next() => (self.observe)(&ended),
            }
        }
        while let Some(ended) = running.next().await {
            (self.observe)(&ended);
        }
    }

    /// Enters what has come, and takes what is due as long as there is room.
    async fn look(
        &self,
        planner: &mut Planner,
        running: &mut Running,
        stop: &CancellationToken,
    ) -> Result<(), sqlx::Error> {
        // What is entered already is taken also when nothing can be entered.
        let entered = planner.plan(&self.ledger, self.clock.now()).await;
        while running.jobs.len() < AT_ONCE {
            let others = self.jobs.iter().filter(|job| !running.jobs.contains(job.name));
            let others: Vec<_> = others.map(|job| job.name.to_owned()).collect();
            let Some(held) = self.ledger.take(&others).await? else { break };
            let Some(job) = self.jobs.iter().find(|job| job.name == held.job) else { break };
            let (ledger, job, stop) = (self.ledger.clone(), Arc::clone(job), stop.clone());
            running.jobs.insert(job.name);
            running.tasks.spawn(async move {
                let begun = Instant::now();
                let outcome = running::run(&ledger, &job, held, &stop).await;
                Ended { job: job.name, outcome, took: begun.elapsed() }
            });
        }
        entered
    }

    fn report(&self, looked: Result<(), sqlx::Error>) {
        let status = match looked {
            Ok(()) => RunnerStatus::Working,
            Err(error) => RunnerStatus::Failing { error: error.to_string() },
        };
        self.status.send_if_modified(|known| {
            if *known == status {
                return false;
            }
            if let RunnerStatus::Failing { error } = &status {
                tracing::warn!(error, "cannot look for jobs, will try again");
            }
            *known = status;
            true
        });
    }
}

/// Waits for a tick; for ever if nothing ticks any more, because other things still wake.
async fn ticked(ticks: &mut watch::Receiver<()>) {
    if ticks.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// What runs in this process.
#[derive(Default)]
struct Running {
    tasks: JoinSet<Ended>,
    jobs: BTreeSet<&'static str>,
}

impl Running {
    /// Waits for the next one to end; `None` if nothing runs. Dropping the future is safe.
    async fn next(&mut self) -> Option<Ended> {
        let ended = self.tasks.join_next().await?;
        match ended {
            Ok(ended) => {
                self.jobs.remove(ended.job);
                Some(ended)
            }
            // The work of a job is caught; what is left is a fault of ours.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}
