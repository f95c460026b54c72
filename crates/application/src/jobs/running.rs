//! One run, from the moment it is taken to what becomes of it.

use std::any::Any;
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures_util::FutureExt as _;
use sqlx::PgConnection;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::ledger::{Ending, Held, LEASE, Ledger};
use super::{Job, JobError, Missed, Outcome};

/// How often an owner says that it is there.
const HEARTBEAT: Duration = Duration::from_millis(2_500);

/// How long work that is told to stop may take to do so.
const GRACE: Duration = Duration::from_secs(3);

/// The longest text of an outcome that is kept.
const MOST_CHARACTERS: usize = 1_000;

/// What the work of a job knows of its run.
#[derive(Debug, Clone)]
pub struct Run {
    held: Held,
    stop: CancellationToken,
}

/// The run is somebody else's now.
#[derive(Debug, thiserror::Error)]
#[error("the lease of this run is lost")]
struct LeaseLost;

impl Run {
    /// The slot it is for.
    #[must_use]
    pub const fn slot(&self) -> DateTime<Utc> {
        self.held.slot
    }

    /// Cancelled when the work shall end: the process stops, it took too long, or its lease is lost.
    /// What has not ended some seconds later is dropped.
    #[must_use]
    pub const fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Makes sure that the caller's transaction commits under the lease: nobody takes the run over
    /// before it ends. Call it first in it, and keep it short.
    ///
    /// # Errors
    /// The lease is lost, or the database cannot be reached.
    pub async fn fence(&self, connection: &mut PgConnection) -> Result<(), JobError> {
        if Ledger::fence(connection, &self.held).await? { Ok(()) } else { Err(LeaseLost.into()) }
    }
}

/// Why work was told to end.
enum Interrupted {
    Stop,
    TooLong,
    Lost,
}

/// Runs `held`, keeps its lease, and records what becomes of it.
pub(super) async fn run(
    ledger: &Ledger,
    job: &Job,
    held: Held,
    stop: &CancellationToken,
) -> Outcome {
    let attempt = u16::try_from(held.attempt).unwrap_or(u16::MAX);
    if attempt > job.attempts {
        let error = format!("its process ended in the middle of it, {} times", job.attempts);
        return end(ledger, job, &held, Ending::Parked { error }).await;
    }
    let token = stop.child_token();
    let work = (job.work)(Run { held: held.clone(), stop: token.clone() });
    let mut work = pin!(AssertUnwindSafe(work).catch_unwind());
    let interrupted = tokio::select! {
        biased;
        done = &mut work => Ok(done),
        () = stop.cancelled() => Err(Interrupted::Stop),
        () = sleep(job.limit) => Err(Interrupted::TooLong),
        () = lose(ledger, &held) => Err(Interrupted::Lost),
    };
    let (done, interrupted) = match interrupted {
        Ok(done) => (Some(done), None),
        Err(interrupted) => {
            token.cancel();
            (timeout(GRACE, &mut work).await.ok(), Some(interrupted))
        }
    };
    let done = done.map(|done| match done {
        Ok(done) => done.map_err(|error| chain(&*error)),
        Err(panic) => Err(format!("panicked: {}", said(&*panic))),
    });
    let ending = match (done, interrupted) {
        (Some(Ok(what)), _) => Ending::Done { what: short(&what) },
        // It would be refused.
        (_, Some(Interrupted::Lost)) => {
            tracing::warn!(job.name = held.job, job.slot = %held.slot, "the lease of a run is lost, others have it");
            return Outcome::Lost;
        }
        (_, Some(Interrupted::Stop)) => Ending::GivenBack,
        (_, Some(Interrupted::TooLong)) => {
            failed(job, attempt, &format!("took longer than {} s", job.limit.as_secs_f64()))
        }
        // It may have heard of it first.
        (Some(Err(_)), None) if stop.is_cancelled() => Ending::GivenBack,
        (Some(Err(error)), None) => failed(job, attempt, &error),
        // Work that was not interrupted has ended.
        (None, None) => failed(job, attempt, "was cut off"),
    };
    end(ledger, job, &held, ending).await
}

fn failed(job: &Job, attempt: u16, error: &str) -> Ending {
    let error = short(error);
    if attempt < job.attempts {
        Ending::Again { pause: job.pause_after(attempt), error }
    } else {
        Ending::Parked { error }
    }
}

/// Keeps the lease; answers when it is lost, or may be because the database says nothing.
async fn lose(ledger: &Ledger, held: &Held) {
    let mut sure_until = Instant::now() + LEASE;
    loop {
        sleep(HEARTBEAT).await;
        let asked = Instant::now();
        match ledger.renew(held).await {
            Ok(true) => sure_until = asked + LEASE,
            Err(error) if Instant::now() < sure_until => {
                tracing::debug!(%error, "could not renew the lease of a run");
            }
            Ok(false) | Err(_) => return,
        }
    }
}

/// Records what becomes of `held`, as long as its lease lasts.
async fn end(ledger: &Ledger, job: &Job, held: &Held, ending: Ending) -> Outcome {
    let until = Instant::now() + LEASE;
    let is_latest = job.missed == Missed::Latest;
    loop {
        match ledger.end(held, &ending, is_latest).await {
            Ok(true) => return told(held, &ending),
            Ok(false) => {
                tracing::warn!(job.name = held.job, job.slot = %held.slot, "the end of a run is refused, others have it");
                return Outcome::Lost;
            }
            Err(error) if Instant::now() < until => {
                tracing::debug!(%error, "could not record the end of a run, will try again");
                sleep(Duration::from_millis(500)).await;
            }
            Err(error) => {
                tracing::warn!(job.name = held.job, job.slot = %held.slot, %error, "the end of a run cannot be recorded, it will be repeated");
                return Outcome::Lost;
            }
        }
    }
}

fn told(held: &Held, ending: &Ending) -> Outcome {
    let (name, slot) = (held.job.as_str(), held.slot);
    match ending {
        Ending::Done { what } => {
            tracing::debug!(job.name = name, job.slot = %slot, what, "a job is done");
            Outcome::Done
        }
        Ending::Again { pause, error } => {
            let pause_s = pause.as_secs_f64();
            tracing::warn!(job.name = name, job.slot = %slot, error, pause_s, "a job failed and is tried again");
            Outcome::Failed
        }
        Ending::Parked { error } => {
            tracing::error!(job.name = name, job.slot = %slot, error, "a job failed and is parked: `annals jobs retry` or `skip`");
            Outcome::Parked
        }
        Ending::GivenBack => {
            tracing::info!(job.name = name, job.slot = %slot, "a run is given back");
            Outcome::GivenBack
        }
    }
}

/// An error and why.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some errors of others repeat their source in their own text.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// What a panic said.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}

fn short(text: &str) -> String {
    text.chars().take(MOST_CHARACTERS).collect()
}
