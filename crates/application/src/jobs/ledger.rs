//! The ledger: a row for each job and slot.
//!
//! Leases and pauses are by the clock of the database, which is the same for all; slots are by that of
//! whoever plans them. Every write of a run names the epoch it was taken under.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use eventstore::answer::within;
use sqlx::{PgConnection, PgPool};

/// How long an owner that stopped renewing is left alone.
pub(super) const LEASE: Duration = Duration::from_secs(10);

/// Told when there may be something to run at once.
pub(super) const CHANNEL: &str = "jobs_changed";

/// Where runs are recorded, and by whom.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    pub(super) pool: PgPool,
    /// Who works here, for people.
    pub(super) owner: String,
}

/// A run that somebody holds.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub(super) job: String,
    pub(super) slot: DateTime<Utc>,
    /// Under which it was taken.
    pub(super) epoch: i64,
    /// This one included.
    pub(super) attempt: i32,
}

/// Slots that have come.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// In order.
    pub(super) slots: Vec<DateTime<Utc>>,
    /// Of each: why it is not run, if it is not.
    pub(super) skipped: Vec<Option<String>>,
    /// How many that were due before stay so.
    pub(super) keep_waiting: i64,
    /// Whether what waited for another attempt hands its attempts on.
    pub(super) hand_on: bool,
}

/// What becomes of a run.
#[derive(Debug)]
pub(super) enum Ending {
    /// It did this.
    Done { what: String },
    /// It is tried again.
    Again { pause: Duration, error: String },
    /// It is not tried again until somebody says so.
    Parked { error: String },
    /// It is as if it had not been taken.
    GivenBack,
}

impl Ledger {
    /// Up to when the slots of each of `jobs` are here.
    pub(super) async fn plans(
        &self,
        jobs: &[String],
    ) -> Result<HashMap<String, DateTime<Utc>>, sqlx::Error> {
        let plans = sqlx::query!("SELECT job, upto FROM jobs.plans WHERE job = ANY ($1)", jobs);
        let plans = within(plans.fetch_all(&self.pool)).await?;
        Ok(plans.into_iter().map(|row| (row.job, row.upto)).collect())
    }

    /// `jobs` are here from `now` on, unless they were before.
    pub(super) async fn begin(
        &self,
        jobs: &[String],
        now: DateTime<Utc>,
    ) -> Result<(), sqlx::Error> {
        let begun = sqlx::query!(
            r#"
            INSERT INTO jobs.plans (job, upto)
            SELECT name, $2
            FROM unnest($1::text[]) AS name
            ON CONFLICT DO NOTHING
            "#,
            jobs,
            now,
        );
        within(begun.execute(&self.pool)).await.map(drop)
    }

    /// Enters the slots of `job` after `from` and up to `upto`, unless somebody else did.
    pub(super) async fn plan(
        &self,
        job: &str,
        (from, upto): (DateTime<Utc>, DateTime<Utc>),
        plan: &Plan,
    ) -> Result<(), sqlx::Error> {
        let planned = sqlx::query_file!(
            "src/jobs/plan.sql",
            job,
            from,
            upto,
            plan.keep_waiting,
            &plan.slots,
            &plan.skipped as &[Option<String>],
            plan.hand_on,
        );
        within(planned.execute(&self.pool)).await.map(drop)
    }

    /// Takes a run of one of `jobs` that is due, or whose owner said nothing for [`LEASE`].
    ///
    /// A job never runs twice at once; whoever is second finds that out by the index that says so.
    pub(super) async fn take(&self, jobs: &[String]) -> Result<Option<Held>, sqlx::Error> {
        let taken = sqlx::query_file!("src/jobs/take.sql", jobs, self.owner, LEASE.as_secs_f64());
        match within(taken.fetch_optional(&self.pool)).await {
            Ok(row) => Ok(row.map(|row| Held {
                job: row.job,
                slot: row.slot,
                epoch: row.epoch,
                attempt: row.attempts,
            })),
            Err(sqlx::Error::Database(error)) if error.constraint() == Some("runs_running_key") => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Says that its owner is there; whether it still is the owner.
    pub(super) async fn renew(&self, held: &Held) -> Result<bool, sqlx::Error> {
        let renewed = sqlx::query!(
            r#"
            UPDATE jobs.runs
            SET lease_until = clock_timestamp() + make_interval(secs => $4)
            WHERE job = $1 AND slot = $2 AND epoch = $3 AND state = 'running'
            "#,
            held.job,
            held.slot,
            held.epoch,
            LEASE.as_secs_f64(),
        );
        Ok(within(renewed.execute(&self.pool)).await?.rows_affected() == 1)
    }

    /// Whether it is held under this epoch, and nobody takes it until the transaction ends.
    pub(super) async fn fence(
        connection: &mut PgConnection,
        held: &Held,
    ) -> Result<bool, sqlx::Error> {
        let mine = sqlx::query_scalar!(
            r#"
            SELECT true AS "mine!"
            FROM jobs.runs
            WHERE job = $1 AND slot = $2 AND epoch = $3 AND state = 'running'
            FOR KEY SHARE
            "#,
            held.job,
            held.slot,
            held.epoch,
        );
        Ok(within(mine.fetch_optional(connection)).await?.is_some())
    }

    /// Records what becomes of it; `false` if somebody else holds it now, and nothing is recorded.
    ///
    /// With `is_latest` only the latest slot counts: one that is due already is tried instead of this
    /// one, and one that is done settles those that were parked before.
    pub(super) async fn end(
        &self,
        held: &Held,
        ending: &Ending,
        is_latest: bool,
    ) -> Result<bool, sqlx::Error> {
        let (state, pause, outcome) = match ending {
            Ending::Done { what } => ("done", None, Some(what)),
            Ending::Again { pause, error } => ("due", Some(*pause), Some(error)),
            Ending::Parked { error } => ("parked", None, Some(error)),
            Ending::GivenBack => ("due", Some(Duration::ZERO), None),
        };
        let ended = sqlx::query_file_scalar!(
            "src/jobs/end.sql",
            held.job,
            held.slot,
            held.epoch,
            state,
            pause.map(|pause| pause.as_secs_f64()),
            outcome,
            is_latest,
            i32::from(matches!(ending, Ending::GivenBack)),
        );
        Ok(within(ended.fetch_optional(&self.pool)).await?.is_some())
    }
}
