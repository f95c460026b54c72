//! Jobs: what is due at times, run once for each slot by any number of processes.
//!
//! A [`Job`] is a name, a [`Schedule`], a policy for slots that were missed, and an async function. Each
//! process with a [`Runner`] enters slots that have come into the ledger, a table with one row for each
//! job and slot, and takes rows that are due from it, under a lease with an epoch. A run that fails is
//! tried again with pauses that double, and parked after its last attempt; one whose process died is
//! taken over when its lease has run out. What wakes the runner ([`Ticks`]) decides nothing: a tick that
//! is lost, doubled or late changes only how late a run begins.
//!
//! The end of a run is recorded once, by whoever holds it then. Its work may begin more than once,
//! because a process can die between the work and the record, so work must be safe to repeat; what may
//! only take effect under the lease asks [`Run::fence`] in its transaction.
//!
//! Not here: which jobs there are. The binary composes them.

mod ledger;
mod planner;
mod running;

pub mod operations;
pub mod overview;
pub mod runner;
pub mod schedule;
pub mod ticks;

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

pub use runner::{Ended, Outcome, Runner, RunnerStatus};
pub use running::Run;
pub use schedule::{InvalidSchedule, Schedule};
pub use ticks::Ticks;

/// Why a run failed.
pub type JobError = Box<dyn Error + Send + Sync>;

/// What a job does; it answers with what it did, for people.
pub type Work = Arc<dyn Fn(Run) -> BoxFuture<'static, Result<String, JobError>> + Send + Sync>;

/// A job: what is to be done, and when.
#[derive(Clone)]
pub struct Job {
    /// Its name, in the ledger for ever: letters, digits and hyphens.
    pub name: &'static str,
    /// What it is for, in some words.
    pub summary: &'static str,
    /// When it is due.
    pub schedule: Schedule,
    /// What becomes of slots that came while nobody could run them.
    pub missed: Missed,
    /// How often a run is tried before it is parked.
    pub attempts: u16,
    /// The wait after the first attempt that fails; it doubles, up to an hour.
    pub pause: Duration,
    /// How long one attempt may take.
    pub limit: Duration,
    /// How long the ledger keeps what came of a run.
    pub keep: Duration,
    /// What it does.
    pub work: Work,
}

/// What becomes of slots that came while nobody could run them: no process was there, or the one
/// before still ran or waited for its next attempt.
///
/// Those that are not run are in the ledger as skipped, at least the last thousand of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// The latest is run. One that waits for its next attempt hands its attempts on to it, so that a
    /// job that always fails is parked; and when one is done, earlier parked ones are settled.
    Latest,
    /// Each is run, in order, but no more than the last `most`.
    Each {
        /// At least 1.
        most: u16,
    },
}

impl Missed {
    fn most(self) -> usize {
        match self {
            Self::Latest => 1,
            Self::Each { most } => most.max(1).into(),
        }
    }
}

impl fmt::Display for Missed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("of missed slots the latest is run"),
            Self::Each { most } => write!(f, "missed slots are run in order, at most {most}"),
        }
    }
}

impl Job {
    /// `name` does `work` when `schedule` says so, of missed slots the latest; five attempts within
    /// some minutes, of an hour each; the ledger keeps runs for 30 days.
    #[must_use]
    pub fn new<W, F>(name: &'static str, summary: &'static str, schedule: Schedule, work: W) -> Self
    where
        W: Fn(Run) -> F + Send + Sync + 'static,
        F: Future<Output = Result<String, JobError>> + Send + 'static,
    {
        Self {
            name,
            summary,
            schedule,
            missed: Missed::Latest,
            attempts: 5,
            pause: Duration::from_secs(10),
            limit: Duration::from_hours(1),
            keep: Duration::from_hours(30 * 24),
            work: Arc::new(move |run| work(run).boxed()),
        }
    }

    /// How long to wait after so many attempts have failed.
    fn pause_after(&self, attempts: u16) -> Duration {
        let doubled = self.pause.saturating_mul(1 << attempts.saturating_sub(1).min(20));
        doubled.min(Duration::from_hours(1))
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job").field("name", &self.name).finish_non_exhaustive()
    }
}
