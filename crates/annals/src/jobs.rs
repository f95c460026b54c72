//! The jobs there are: what looks after the tables by itself.

use std::num::NonZeroU16;
use std::time::Duration;

use adapters::SystemClock;
use anyhow::Context as _;
use application::jobs::{InvalidSchedule, Job, JobError, Run, Schedule, operations};
use application::ports::Clock as _;
use eventstore::answer::{self, within};
use eventstore::{EventStore, Forgotten};
use relay::inbox::Retired;
use sqlx::PgPool;
use tokio::time::{Instant, sleep};

use crate::config::Jobs;
use crate::projector;

const DAY: Duration = Duration::from_hours(24);

/// Positions of the log whose commands are forgotten in one transaction, for whose end appends wait.
const POSITIONS: u16 = 500;

/// How long one run forgets, less than a run may take: a long log is no failure.
const STRETCH: Duration = Duration::from_mins(45);

/// How many times longer that rests than it works: commands come first.
const REST: u32 = 4;

/// Every job, with these settings: what workers run, and operators look after.
///
/// # Errors
/// The place whose clocks count is not known.
pub fn all(store: &EventStore, settings: &Jobs) -> anyhow::Result<Vec<Job>> {
    let zone = settings.zone()?;
    let at = |expression: &str| Schedule::new(expression, zone);
    defined(store, settings, at).context("a job has no schedule")
}

fn defined(
    store: &EventStore,
    settings: &Jobs,
    at: impl Fn(&str) -> Result<Schedule, InvalidSchedule>,
) -> Result<Vec<Job>, InvalidSchedule> {
    let (pool, days) = (store.pool().clone(), settings.inbox_days);
    let inbox = Job::new(
        "inbox-retention",
        "drops marks of messages that are not needed any more",
        at("23 * * * *")?,
        move |_| retire_inbox(pool.clone(), days),
    );
    let ahead = store.clone();
    let partitions = Job::new(
        "partitions-ahead",
        "makes partitions of the log, the outbox and the inbox before they are needed",
        at("7 * * * *")?,
        move |_| make_partitions(ahead.clone()),
    );
    let (pool, keep) = (store.pool().clone(), DAY * u32::from(settings.command_days.get()));
    let commands = Job::new(
        "command-retention",
        "forgets records of commands, whose ids are as good as new then",
        at("41 * * * *")?,
        move |run| forget_commands(pool.clone(), keep, run),
    );
    let counted = store.clone();
    let digests = Job {
        limit: Duration::from_mins(10),
        keep: DAY,
        ..Job::new(
            "projection-digests",
            "counts what the log says beside what read models have taken in",
            at("*/10 * * * * *")?,
            move |run| count(counted.clone(), run),
        )
    };
    let pool = store.pool().clone();
    let identity = Job::new(
        "identity-retention",
        "removes tokens that are over, failures to log in of long ago, and what is kept of the erased",
        at("11 * * * *")?,
        move |_| prune_identity(pool.clone()),
    );
    let mut jobs = vec![inbox, partitions, commands, digests, identity];
    let mut kept: Vec<_> = jobs.iter().map(|job| (job.name, job.keep)).collect();
    kept.push(("ledger-retention", DAY * 30));
    let pool = store.pool().clone();
    jobs.push(Job::new(
        "ledger-retention",
        "removes what came of runs of jobs long ago",
        at("30 3 * * *")?,
        move |_| prune(pool.clone(), kept.clone()),
    ));
    Ok(jobs)
}

async fn retire_inbox(pool: PgPool, days: NonZeroU16) -> Result<String, JobError> {
    let Retired { dropped, left } = relay::inbox::retire(&pool, days).await?;
    if left > 0 {
        return Err(
            format!("dropped the marks of {dropped} days, somebody holds {left} more").into()
        );
    }
    Ok(format!("dropped the marks of {dropped} days"))
}

/// The log makes its own partitions when it is written to; this is for what that has missed, and so
/// that the first message of a day need not make that of the inbox.
async fn make_partitions(store: EventStore) -> Result<String, JobError> {
    store.add_partitions().await?;
    let today = SystemClock.now().date_naive();
    let days: Vec<_> = today.iter_days().take(2).collect();
    relay::inbox::prepare(store.pool(), &days).await?;
    Ok("there are enough".to_owned())
}

/// Some at a time, each under the lease: whoever has lost it removes nothing more.
async fn forget_commands(pool: PgPool, keep: Duration, run: Run) -> Result<String, JobError> {
    let (mut forgotten, started) = (0, Instant::now());
    loop {
        let begun = Instant::now();
        let mut transaction = within(answer::begin(&pool, "BEGIN")).await?;
        run.fence(&mut transaction).await?;
        let Forgotten { records, are_more } =
            EventStore::forget_commands_in(&mut transaction, keep, POSITIONS).await?;
        within(transaction.commit()).await?;
        forgotten += records;
        if !are_more {
            return Ok(format!("forgot {forgotten} commands"));
        }
        if started.elapsed() > STRETCH {
            return Ok(format!("forgot {forgotten} commands, the next run goes on"));
        }
        let rested = run.stop().run_until_cancelled(sleep(begun.elapsed() * REST)).await;
        rested.ok_or_else(|| format!("stopped when {forgotten} commands were forgotten"))?;
    }
}

async fn count(store: EventStore, run: Run) -> Result<String, JobError> {
    let source = projector::source(store);
    let counting = Box::pin(projections::digests::count_all(&source, projections::ALL));
    let differences = run.stop().run_until_cancelled(counting).await.ok_or("stopped")??;
    Ok(match differences.len() {
        0 => "nothing differs".to_owned(),
        slots => format!("{slots} slots differ: {}", differences.join("; ")),
    })
}

async fn prune_identity(pool: PgPool) -> Result<String, JobError> {
    Ok(format!("removed {}", application::identity::prune(&pool).await?))
}

async fn prune(pool: PgPool, keep: Vec<(&'static str, Duration)>) -> Result<String, JobError> {
    let runs = operations::prune(&pool, &keep).await?;
    Ok(format!("removed {runs} runs"))
}
