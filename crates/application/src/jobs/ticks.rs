//! What wakes runners: a tick each second.
//!
//! `tokio-cron-scheduler` gives it, and nothing else: it keeps its jobs in memory, so each process
//! would run each of them, and none a slot that came while it was away.

use tokio::sync::watch;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// Ticks each second until it is dropped or stopped.
pub struct Ticks {
    scheduler: JobScheduler,
    ticks: watch::Receiver<()>,
}

impl Ticks {
    /// Begins.
    ///
    /// # Errors
    /// The scheduler cannot be started.
    pub async fn start() -> Result<Self, JobSchedulerError> {
        let (tick, ticks) = watch::channel(());
        let scheduler = JobScheduler::new().await?;
        let each_second = Job::new("* * * * * *", move |_, _| tick.send_replace(()))?;
        scheduler.add(each_second).await?;
        scheduler.start().await?;
        Ok(Self { scheduler, ticks })
    }

    /// What is told of each tick.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.ticks.clone()
    }

    /// Ends.
    pub async fn stop(mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::debug!(%error, "could not stop ticking");
        }
    }
}
