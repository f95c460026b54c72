//! How jobs are doing: what this process ran, and what the ledger says of all processes.

use adapters::SystemClock;
use application::jobs::overview::overview;
use application::jobs::{Ended, Job, Outcome};
use application::ports::Clock as _;
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry,
};
use sqlx::PgPool;

/// From a tiny statement to the hour that a run may take.
const SECONDS: [f64; 10] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0, 600.0, 3_600.0];

#[derive(Clone)]
pub struct JobMetrics {
    runs: IntCounterVec,
    seconds: HistogramVec,
    behind: GaugeVec,
    parked: IntGaugeVec,
}

impl JobMetrics {
    pub(super) fn new(jobs: &[Job]) -> Result<Self, prometheus::Error> {
        let runs = Opts::new("annals_job_runs_total", "Attempts of this process that ended.");
        let seconds = HistogramOpts::new("annals_job_seconds", "How long an attempt took.");
        let behind = Opts::new(
            "annals_job_behind_seconds",
            "How long the oldest slot that is not done has been due.",
        );
        let parked = Opts::new("annals_jobs_parked", "Runs that wait for somebody.");
        let metrics = Self {
            runs: IntCounterVec::new(runs, &["job", "outcome"])?,
            seconds: HistogramVec::new(seconds.buckets(SECONDS.to_vec()), &["job"])?,
            behind: GaugeVec::new(behind, &["job"])?,
            parked: IntGaugeVec::new(parked, &["job"])?,
        };
        // Shown from the start: a counter that appears with its first count cannot be seen to rise.
        for job in jobs {
            for outcome in Outcome::ALL {
                metrics.runs.with_label_values(&[job.name, outcome.as_str()]);
            }
        }
        Ok(metrics)
    }

    pub(super) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.runs.clone()))?;
        registry.register(Box::new(self.seconds.clone()))?;
        registry.register(Box::new(self.behind.clone()))?;
        registry.register(Box::new(self.parked.clone()))
    }

    /// Counts an attempt of this process.
    pub fn ended(&self, ended: &Ended) {
        self.runs.with_label_values(&[ended.job, ended.outcome.as_str()]).inc();
        self.seconds.with_label_values(&[ended.job]).observe(ended.took.as_secs_f64());
    }

    pub(super) async fn refresh(&self, pool: &PgPool, jobs: &[Job]) -> Result<(), sqlx::Error> {
        for job in overview(pool, jobs, SystemClock.now()).await? {
            self.behind.with_label_values(&[job.job]).set(job.behind_seconds);
            self.parked.with_label_values(&[job.job]).set(job.parked);
        }
        Ok(())
    }
}
