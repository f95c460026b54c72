//! Enters slots that have come into the ledger.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Job;
use super::Missed;
use super::ledger::{Ledger, Plan};
use super::schedule::LastSlots;

/// How many slots that are not run are entered one by one.
const RECORDED: usize = 1_000;

/// Plans for all jobs of a process.
#[derive(Debug)]
pub(super) struct Planner {
    jobs: Vec<Arc<Job>>,
    names: Vec<String>,
    /// Of each job: up to when it is planned, and the slot that comes next.
    next: HashMap<&'static str, (DateTime<Utc>, Option<DateTime<Utc>>)>,
}

impl Planner {
    pub(super) fn new(jobs: Vec<Arc<Job>>) -> Self {
        let names = jobs.iter().map(|job| job.name.to_owned()).collect();
        Self { jobs, names, next: HashMap::new() }
    }

    /// Enters what has come by `now`. Processes that do so at the same time enter it once.
    ///
    /// What goes wrong with one job does not keep the others waiting; the first of it is the error.
    pub(super) async fn plan(
        &mut self,
        ledger: &Ledger,
        now: DateTime<Utc>,
    ) -> Result<(), sqlx::Error> {
        let mut plans = ledger.plans(&self.names).await?;
        if plans.len() < self.names.len() {
            ledger.begin(&self.names, now).await?;
            plans = ledger.plans(&self.names).await?;
        }
        let mut outcome = Ok(());
        for job in &self.jobs {
            let Some(&upto) = plans.get(job.name) else { continue };
            let known = self.next.get(job.name).filter(|(planned, _)| *planned == upto);
            let next = known.map_or_else(|| job.schedule.next(upto), |(_, next)| *next);
            self.next.insert(job.name, (upto, next));
            if next.is_some_and(|next| next <= now) {
                let planned = ledger.plan(job.name, (upto, now), &plan(job, upto, now)).await;
                outcome = outcome.and(planned);
            }
        }
        outcome
    }
}

/// What becomes of the slots of `job` after `from` and up to `upto`.
fn plan(job: &Job, from: DateTime<Utc>, upto: DateTime<Utc>) -> Plan {
    let most = job.missed.most();
    let LastSlots { slots, are_more } = job.schedule.last(from, upto, most + RECORDED);
    let missed = slots.len().saturating_sub(most);
    let skipped = (0..slots.len()).map(|place| {
        (place < missed).then(|| match (place, are_more) {
            (0, true) => format!("missed, as were all others since {from}"),
            _ => format!("missed: {}", job.missed),
        })
    });
    let keep_waiting = most - (slots.len() - missed);
    Plan {
        skipped: skipped.collect(),
        keep_waiting: i64::try_from(keep_waiting).unwrap_or(i64::MAX),
        hand_on: job.missed == Missed::Latest,
        slots,
    }
}
