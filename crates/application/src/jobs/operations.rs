//! What operators do to runs, recorded with their names.

use std::time::Duration;

use chrono::{DateTime, SubsecRound as _, Utc};
use eventstore::answer::{self, within};
use sqlx::{PgConnection, PgPool};

use super::Job;
use super::ledger::CHANNEL;

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// The ledger has no such run.
    #[error("{job} has no run of {slot}: `annals jobs show {job}` lists them")]
    NoRun {
        /// The job.
        job: &'static str,
        /// The slot.
        slot: String,
    },
    /// It cannot be done to a run in this state.
    #[error("the run of {job} of {slot} is {state}")]
    State {
        /// The job.
        job: &'static str,
        /// The slot.
        slot: String,
        /// Its state.
        state: String,
    },
    /// The database cannot be reached.
    #[error("change the ledger")]
    Database(#[from] sqlx::Error),
}

/// Asks for a run of `job` now, beside its schedule; answers with its slot.
///
/// # Errors
/// The database cannot be reached.
pub async fn run_now(
    pool: &PgPool,
    job: &Job,
    now: DateTime<Utc>,
    by: &str,
) -> Result<DateTime<Utc>, OperationError> {
    // As precise as people can type, and a slot of the schedule has no milliseconds.
    let mut slot = now.trunc_subsecs(3);
    let mut transaction = within(answer::begin(pool, "BEGIN")).await?;
    loop {
        let asked = sqlx::query!(
            r#"
            INSERT INTO jobs.runs (job, slot, manual, state, next_try_at)
            VALUES ($1, $2, true, 'due', clock_timestamp())
            ON CONFLICT DO NOTHING
            "#,
            job.name,
            slot,
        );
        if within(asked.execute(&mut *transaction)).await?.rows_affected() == 1 {
            break;
        }
        slot += chrono::TimeDelta::milliseconds(1);
    }
    record(&mut transaction, by, "run", job, slot, None).await?;
    within(transaction.commit()).await?;
    Ok(slot)
}

/// Gives a parked run of `job`, or one that waits for its next attempt, all its attempts again, now.
///
/// # Errors
/// There is none, or it is in another state.
pub async fn retry(
    pool: &PgPool,
    job: &Job,
    slot: DateTime<Utc>,
    by: &str,
) -> Result<(), OperationError> {
    let mut transaction = within(answer::begin(pool, "BEGIN")).await?;
    let retried = sqlx::query!(
        r#"
        UPDATE jobs.runs
        SET state = 'due', attempts = 0, next_try_at = clock_timestamp(), finished_at = NULL
        WHERE job = $1 AND slot = $2 AND state IN ('due', 'parked')
        "#,
        job.name,
        slot,
    );
    let retried = within(retried.execute(&mut *transaction)).await?.rows_affected();
    changed(&mut transaction, job, slot, retried).await?;
    record(&mut transaction, by, "retry", job, slot, None).await?;
    Ok(within(transaction.commit()).await?)
}

/// Gives a run of `job` that is parked or due up for ever.
///
/// # Errors
/// There is none, or it is in another state.
pub async fn skip(
    pool: &PgPool,
    job: &Job,
    slot: DateTime<Utc>,
    reason: &str,
    by: &str,
) -> Result<(), OperationError> {
    let mut transaction = within(answer::begin(pool, "BEGIN")).await?;
    let skipped = sqlx::query!(
        r#"
        UPDATE jobs.runs
        SET state = 'skipped', next_try_at = NULL, finished_at = clock_timestamp(),
            outcome = concat_ws(': ', 'skipped by ' || $3 || ', ' || $4, outcome)
        WHERE job = $1 AND slot = $2 AND state IN ('due', 'parked')
        "#,
        job.name,
        slot,
        by,
        reason,
    );
    let skipped = within(skipped.execute(&mut *transaction)).await?.rows_affected();
    changed(&mut transaction, job, slot, skipped).await?;
    record(&mut transaction, by, "skip", job, slot, Some(reason)).await?;
    Ok(within(transaction.commit()).await?)
}

/// The slots of `job` that are parked.
///
/// # Errors
/// The database cannot be reached.
pub async fn parked(pool: &PgPool, job: &Job) -> Result<Vec<DateTime<Utc>>, sqlx::Error> {
    let parked = sqlx::query_scalar!(
        "SELECT slot FROM jobs.runs WHERE job = $1 AND state = 'parked' ORDER BY slot",
        job.name,
    );
    within(parked.fetch_all(pool)).await
}

/// Removes what came of runs longer ago than is kept: of each job for a time of its own, of those that
/// are not named for a month. The last one that was done stays.
///
/// # Errors
/// The database cannot be reached.
pub async fn prune(pool: &PgPool, keep: &[(&str, Duration)]) -> Result<u64, sqlx::Error> {
    let (names, keep_s): (Vec<_>, Vec<_>) =
        keep.iter().map(|(job, keep)| ((*job).to_owned(), keep.as_secs_f64())).unzip();
    let pruned = sqlx::query!(
        r#"
        DELETE FROM jobs.runs AS r
        WHERE r.state IN ('done', 'skipped')
          AND r.finished_at < clock_timestamp() - coalesce((
              SELECT make_interval(secs => kept.keep_s)
              FROM unnest($1::text[], $2::float8[]) AS kept (job, keep_s)
              WHERE kept.job = r.job
          ), interval '30 days')
          AND r.slot < (SELECT max(last.slot) FROM jobs.runs AS last WHERE last.job = r.job AND last.state = 'done')
        "#,
        &names,
        &keep_s,
    );
    Ok(within(pruned.execute(pool)).await?.rows_affected())
}

/// Says why nothing was changed, if nothing was.
async fn changed(
    connection: &mut PgConnection,
    job: &Job,
    slot: DateTime<Utc>,
    rows: u64,
) -> Result<(), OperationError> {
    if rows == 1 {
        return Ok(());
    }
    let state = sqlx::query_scalar!(
        "SELECT state FROM jobs.runs WHERE job = $1 AND slot = $2",
        job.name,
        slot,
    );
    let state = within(state.fetch_optional(connection)).await?;
    let (job, slot) = (job.name, written(slot));
    Err(match state {
        Some(state) => OperationError::State { job, slot, state },
        None => OperationError::NoRun { job, slot },
    })
}

/// A slot as people read and type it.
#[must_use]
pub fn written(slot: DateTime<Utc>) -> String {
    slot.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

async fn record(
    connection: &mut PgConnection,
    by: &str,
    action: &str,
    job: &Job,
    slot: DateTime<Utc>,
    reason: Option<&str>,
) -> Result<(), sqlx::Error> {
    let recorded = sqlx::query!(
        r#"
        WITH told AS (SELECT pg_notify($6, ''))
        INSERT INTO jobs.interventions (actor, action, job, slot, reason)
        SELECT $1, $2, $3, $4, $5 FROM told
        "#,
        by,
        action,
        job.name,
        slot,
        reason,
        CHANNEL,
    );
    within(recorded.execute(connection)).await.map(drop)
}
