//! How jobs are doing, whichever process runs them.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use eventstore::answer::within;
use serde::Serialize;
use sqlx::PgPool;

use super::Job;

/// How a job is doing.
#[derive(Debug, Clone, Serialize)]
pub struct Overview {
    /// Its name.
    pub job: &'static str,
    /// What it is for.
    pub summary: &'static str,
    /// When it is due: the expression and the place.
    pub schedule: String,
    /// The same in words.
    pub words: String,
    /// What becomes of missed slots.
    pub missed: String,
    /// When it is due next.
    pub next: Option<DateTime<Utc>>,
    /// How long the oldest slot that is not done, skipped or parked has been due.
    pub behind_seconds: f64,
    /// How many runs wait for somebody.
    pub parked: i64,
    /// The run that is in its ledger last.
    pub last: Option<RunRecord>,
}

/// A row of the ledger.
#[derive(Debug, Clone, Serialize)]
pub struct RunRecord {
    /// The moment it was due.
    pub slot: DateTime<Utc>,
    /// Whether somebody asked for it, beside the schedule.
    pub manual: bool,
    /// `due`, `running`, `done`, `parked` or `skipped`.
    pub state: String,
    /// How often it was begun.
    pub attempts: i32,
    /// How often somebody took it; one more than before at each takeover.
    pub epoch: i64,
    /// The process that holds it, or held it last.
    pub owner: Option<String>,
    /// When its last attempt began.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was done, parked or skipped.
    pub finished_at: Option<DateTime<Utc>>,
    /// When it is tried again.
    pub next_try_at: Option<DateTime<Utc>>,
    /// What it did, why it failed, or why it is skipped.
    pub outcome: Option<String>,
}

/// How each of `jobs` is doing at `now`.
///
/// # Errors
/// The database cannot be reached.
pub async fn overview(
    pool: &PgPool,
    jobs: &[Job],
    now: DateTime<Utc>,
) -> Result<Vec<Overview>, sqlx::Error> {
    let names: Vec<_> = jobs.iter().map(|job| job.name.to_owned()).collect();
    let rows = sqlx::query!(
        r#"
        SELECT given.job AS "job!", p.upto AS "upto?",
               (SELECT min(r.slot) FROM jobs.runs AS r
                WHERE r.job = given.job AND r.state IN ('due', 'running')) AS oldest,
               (SELECT count(*) FROM jobs.runs AS r
                WHERE r.job = given.job AND r.state = 'parked') AS "parked!"
        FROM unnest($1::text[]) AS given (job)
        LEFT JOIN jobs.plans AS p ON p.job = given.job
        "#,
        &names,
    );
    let rows = within(rows.fetch_all(pool)).await?.into_iter();
    let mut rows: HashMap<_, _> = rows.map(|row| (row.job.clone(), row)).collect();
    let mut overviews = Vec::with_capacity(jobs.len());
    for job in jobs {
        let row = rows.remove(job.name);
        let (oldest, planned) = row.as_ref().map_or((None, None), |row| (row.oldest, row.upto));
        // What nobody has entered is due as well.
        let unplanned = planned.and_then(|upto| job.schedule.next(upto));
        let oldest = oldest.into_iter().chain(unplanned).min();
        let behind =
            oldest.map_or(TimeDelta::zero(), |oldest| (now - oldest).max(TimeDelta::zero()));
        overviews.push(Overview {
            job: job.name,
            summary: job.summary,
            schedule: job.schedule.to_string(),
            words: job.schedule.words(),
            missed: job.missed.to_string(),
            next: job.schedule.next(now),
            behind_seconds: behind.as_seconds_f64(),
            parked: row.map_or(0, |row| row.parked),
            last: runs(pool, job, 1).await?.into_iter().next(),
        });
    }
    Ok(overviews)
}

/// The last `most` runs of `job`, the latest first.
///
/// # Errors
/// The database cannot be reached.
pub async fn runs(pool: &PgPool, job: &Job, most: i64) -> Result<Vec<RunRecord>, sqlx::Error> {
    let runs = sqlx::query_as!(
        RunRecord,
        r#"
        SELECT slot, manual, state, attempts, epoch, owner, started_at, finished_at, next_try_at, outcome
        FROM jobs.runs
        WHERE job = $1
        ORDER BY slot DESC
        LIMIT $2
        "#,
        job.name,
        most,
    );
    within(runs.fetch_all(pool)).await
}
