//! `annals jobs`: what is due at times.

use adapters::SystemClock;
use anyhow::{Context as _, bail};
use application::jobs::Job;
use application::jobs::operations::{self, written};
use application::jobs::overview::{Overview, RunRecord, overview, runs};
use application::ports::Clock as _;
use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgPool;

use super::{answer, open_log};
use crate::cli;
use crate::config::Config;
use crate::jobs;

pub(super) async fn run(config: &Config, command: cli::Jobs) -> anyhow::Result<()> {
    let store = open_log(config).await?;
    let (pool, all) = (store.pool(), jobs::all(&store, &config.jobs)?);
    match command {
        cli::Jobs::List { json } => list(&overview(pool, &all, SystemClock.now()).await?, json),
        cli::Jobs::Show { name, runs, json } => show(pool, find(&all, &name)?, runs, json).await,
        cli::Jobs::Run { name, by } => {
            let job = find(&all, &name)?;
            let slot = operations::run_now(pool, job, SystemClock.now(), &by.by).await?;
            answer(&format!("{name} is to be run now, as of {}", written(slot)))
        }
        cli::Jobs::Retry { name, slot, by, .. } => {
            let job = find(&all, &name)?;
            let slots = match slot {
                Some(slot) => vec![slot],
                None => operations::parked(pool, job).await?,
            };
            if slots.is_empty() {
                answer("no run is parked")?;
            }
            for slot in slots {
                operations::retry(pool, job, slot, &by.by).await?;
                answer(&format!("{name} of {} is tried again now", written(slot)))?;
            }
            Ok(())
        }
        cli::Jobs::Skip { name, slot, reason, by } => {
            if reason.trim().is_empty() {
                bail!("say why with --reason: it is all that is left of the run");
            }
            operations::skip(pool, find(&all, &name)?, slot, &reason, &by.by).await?;
            answer(&format!("{name} of {} is never run", written(slot)))
        }
    }
}

fn find<'a>(all: &'a [Job], name: &str) -> anyhow::Result<&'a Job> {
    let names = || all.iter().map(|job| job.name).collect::<Vec<_>>().join(", ");
    let found = all.iter().find(|job| job.name == name);
    found.with_context(|| format!("no job is called {name:?}; there are: {}", names()))
}

fn list(all: &[Overview], json: bool) -> anyhow::Result<()> {
    if json {
        return all.iter().try_for_each(|one| answer(&serde_json::to_string(one)?));
    }
    answer(&format!(
        "{:<20} {:<8} {:<20} {:>8} {:>7}  {:<20} {}",
        "NAME", "LAST", "OF", "BEHIND", "PARKED", "NEXT", "DUE"
    ))?;
    for one in all {
        let (state, slot) = match &one.last {
            Some(last) => (last.state.as_str(), written(last.slot)),
            None => ("never", String::new()),
        };
        answer(&format!(
            "{:<20} {state:<8} {slot:<20} {:>8.0} {:>7}  {:<20} {}",
            one.job,
            one.behind_seconds,
            one.parked,
            one.next.map(written).unwrap_or_default(),
            one.words,
        ))?;
    }
    Ok(())
}

async fn show(pool: &PgPool, job: &Job, most: i64, json: bool) -> anyhow::Result<()> {
    let all = overview(pool, std::slice::from_ref(job), SystemClock.now()).await?;
    let runs = runs(pool, job, most).await?;
    if json {
        return answer(&json!({ "overview": all.first(), "runs": runs }).to_string());
    }
    list(&all, false)?;
    answer(&format!("{}; {}", job.summary, job.schedule))?;
    answer(&format!(
        "{}; {} attempts, the first pause {} s, each at most {} s; runs are kept for {} h",
        job.missed,
        job.attempts,
        job.pause.as_secs(),
        job.limit.as_secs(),
        job.keep.as_secs() / 3_600,
    ))?;
    runs.iter().try_for_each(|run| answer(&line(run)))
}

fn line(run: &RunRecord) -> String {
    let RunRecord { state, attempts, .. } = run;
    let manual = if run.manual { ", asked for" } else { "" };
    let took = run.started_at.zip(run.finished_at);
    let took = took.map(|(from, to)| format!(", {:.1} s", (to - from).as_seconds_f64()));
    let by = run.owner.as_ref().map(|owner| format!(", by {owner}"));
    let next = run.next_try_at.map(|next: DateTime<Utc>| format!(", next {}", written(next)));
    let outcome = run.outcome.as_ref().map(|outcome| format!(": {outcome}"));
    format!(
        "{} {state}{manual}, begun {attempts} times{}{}{}{}",
        written(run.slot),
        took.unwrap_or_default(),
        by.unwrap_or_default(),
        next.unwrap_or_default(),
        outcome.unwrap_or_default(),
    )
}
