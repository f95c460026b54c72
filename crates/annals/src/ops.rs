//! How the parts of this process are doing, for `/readyz` and `/metrics`.

mod jobs;
mod projections;
mod proof;
mod read_models;
mod work;

use std::sync::Arc;

use self::projections::ProjectionMetrics;
use ::projections::{Projection, Status};
use adapters::SystemClock;
use api::ops::{Check, Ops, Probe};
use api::serve::Drain;
use application::jobs::{Job, RunnerStatus};
use application::ports::Clock as _;
use eventstore::{Cursor, EventStore};
pub use jobs::JobMetrics;
use prometheus::{Gauge, IntGauge, IntGaugeVec, Opts, Registry};
use proof::ProofMetrics;
use relay::verify::watch::Proof;
use relay::{ConsumerState, ConsumerStatus, Namespace, RelayState, RelayStatus};
use tokio::sync::watch;
use work::{WorkMetrics, Workers};

/// The parts of a process that can say how they are.
pub struct Parts {
    store: EventStore,
    checks: Vec<Check>,
    /// Whether more than the database and what is queried is vital. Not where the API is served:
    /// commands and queries do not wait for the broker, so the process stays ready and shows the
    /// trouble.
    all_vital: bool,
    proof: Option<watch::Receiver<Proof>>,
    workers: Workers,
    jobs: Vec<Job>,
    job_metrics: JobMetrics,
}

impl Parts {
    /// A process that uses `store` and may serve the API, where there are `jobs`, whoever runs them;
    /// more parts are added.
    ///
    /// # Errors
    /// A metric cannot be made.
    pub fn new(
        store: EventStore,
        serves_api: bool,
        jobs: Vec<Job>,
    ) -> Result<Self, prometheus::Error> {
        let pool = store.pool().clone();
        let probe: Probe = Arc::new(move || {
            let pool = pool.clone();
            Box::pin(async move {
                let query = "SELECT current_setting('transaction_read_only')::boolean";
                match sqlx::query_scalar(query).fetch_one(&pool).await {
                    Ok(false) => Ok(()),
                    Ok(true) => Err("the database takes no writes".to_owned()),
                    Err(error) => Err(error.to_string()),
                }
            })
        });
        let checks = vec![Check { name: "postgresql".to_owned(), vital: true, probe }];
        let job_metrics = JobMetrics::new(&jobs)?;
        let workers = Workers::default();
        let all_vital = !serves_api;
        Ok(Self { store, checks, all_vital, proof: None, workers, jobs, job_metrics })
    }

    /// Adds what runs jobs in this process; answers with what is told of them.
    pub fn jobs(&mut self, status: watch::Receiver<RunnerStatus>) -> JobMetrics {
        self.add("jobs".to_owned(), status, |status| match status {
            RunnerStatus::Working => Ok(()),
            RunnerStatus::Failing { error } => Err(error.clone()),
        });
        self.job_metrics.clone()
    }

    /// Adds a read model that this process answers queries from, whoever keeps it.
    pub fn read_model(&mut self, projection: &'static Projection) {
        let store = self.store.clone();
        let probe: Probe = Arc::new(move || {
            let store = store.clone();
            Box::pin(async move { read_models::is_live(&store, projection).await })
        });
        let name = format!("read-model:{}", projection.name);
        self.checks.push(Check { name, vital: true, probe });
    }

    /// Adds a projection that this process keeps.
    pub fn projection(&mut self, name: &str, status: watch::Receiver<Status>) {
        self.add(format!("projection:{name}"), status, |status| match status {
            Status::Standby | Status::Following => Ok(()),
            Status::Paused => {
                Err("is paused: `annals projections resume` lets it go on".to_owned())
            }
            Status::Failing { position, attempts, error } => Err(format!(
                "stands still after position {position}, tried {attempts} times: {error}"
            )),
        });
    }

    /// Adds the relay, and what is proved of its work.
    pub fn relay(&mut self, state: watch::Receiver<RelayState>, proof: watch::Receiver<Proof>) {
        self.proof = Some(proof);
        self.workers.relay = Some(state.clone());
        self.add("relay".to_owned(), state, |state| match &state.status {
            RelayStatus::Standby | RelayStatus::Publishing => Ok(()),
            RelayStatus::Connecting { error } => Err(error.clone()),
            RelayStatus::Refused { reason } => Err(reason.clone()),
        });
    }

    /// Adds a consumer.
    pub fn consumer(&mut self, name: &str, state: watch::Receiver<ConsumerState>) {
        self.workers.consumers.push((name.to_owned(), state.clone()));
        self.add(format!("consumer:{name}"), state, |state| match &state.status {
            ConsumerStatus::Standby | ConsumerStatus::Consuming | ConsumerStatus::Stopped => Ok(()),
            ConsumerStatus::Connecting { error } | ConsumerStatus::Stalled { error } => {
                Err(error.clone())
            }
        });
    }

    fn add<S: Send + Sync + 'static>(
        &mut self,
        name: String,
        status: watch::Receiver<S>,
        trouble: impl Fn(&S) -> Result<(), String> + Send + Sync + 'static,
    ) {
        let probe: Probe = Arc::new(move || {
            let outcome = trouble(&status.borrow());
            Box::pin(std::future::ready(outcome))
        });
        self.checks.push(Check { name, vital: self.all_vital, probe });
    }

    /// What operators can ask for.
    ///
    /// # Errors
    /// A metric of the same name is registered already.
    pub fn into_ops(
        self,
        registry: Registry,
        namespace: Namespace,
        drain: Drain,
    ) -> Result<Ops, prometheus::Error> {
        let gauges = Gauges::register(&registry)?;
        let work = WorkMetrics::register(&registry, self.workers)?;
        let proof = self.proof.map(|proof| ProofMetrics::register(&registry, proof)).transpose()?;
        self.job_metrics.register(&registry)?;
        let (store, jobs, job_metrics) = (self.store, self.jobs, self.job_metrics);
        let refresh: api::ops::Refresh = Arc::new(move || {
            let (store, gauges, namespace) = (store.clone(), gauges.clone(), namespace.clone());
            let proof = proof.clone();
            work.refresh(store.pool());
            let (jobs, job_metrics) = (jobs.clone(), job_metrics.clone());
            Box::pin(async move {
                if let Some(proof) = proof {
                    proof.refresh();
                }
                if let Err(error) = gauges.refresh(&store, &namespace).await {
                    tracing::warn!(%error, "positions could not be read for the metrics");
                }
                if let Err(error) = job_metrics.refresh(store.pool(), &jobs).await {
                    tracing::warn!(%error, "jobs could not be read for the metrics");
                }
            })
        });
        Ok(Ops { checks: self.checks.into(), registry, refresh, drain })
    }
}

/// Where everybody is in the log, whichever process does the work.
#[derive(Clone)]
struct Gauges {
    log: IntGauge,
    followers: IntGaugeVec,
    projections: ProjectionMetrics,
    relay_lag: Gauge,
    dead_letters: IntGaugeVec,
}

impl Gauges {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let log = IntGauge::new("annals_log_position", "Position of the last event of the log.")?;
        let followers = IntGaugeVec::new(
            Opts::new("annals_follower_position", "Position up to which a follower has come."),
            &["follower"],
        )?;
        let projections = ProjectionMetrics::register(registry)?;
        let relay_lag = Gauge::new(
            "annals_relay_lag_seconds",
            "How long the oldest message that is not known to be in the stream has waited.",
        )?;
        let dead_letters = IntGaugeVec::new(
            Opts::new(
                "annals_dead_letters",
                "Messages that are held because they, or others of their key, failed.",
            ),
            &["consumer", "state"],
        )?;
        registry.register(Box::new(dead_letters.clone()))?;
        registry.register(Box::new(log.clone()))?;
        registry.register(Box::new(followers.clone()))?;
        registry.register(Box::new(relay_lag.clone()))?;
        Ok(Self { log, followers, projections, relay_lag, dead_letters })
    }

    async fn refresh(&self, store: &EventStore, namespace: &Namespace) -> Result<(), sqlx::Error> {
        let head = store.head().await?.get();
        self.log.set(head);
        for (name, position) in Cursor::all(store.pool()).await? {
            self.followers.with_label_values(&[&name]).set(position.get());
        }
        self.projections.refresh(store).await?;
        self.dead_letters.reset();
        for (consumer, state, letters) in relay::dead_letters::count(store.pool()).await? {
            self.dead_letters.with_label_values(&[consumer.as_str(), state.as_str()]).set(letters);
        }
        let oldest = relay::oldest_unpublished(store, namespace).await?;
        let waited = oldest.map(|(_, since)| SystemClock.now() - since);
        self.relay_lag.set(waited.map_or(0.0, |waited| waited.as_seconds_f64().max(0.0)));
        Ok(())
    }
}
