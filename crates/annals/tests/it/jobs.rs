//! Jobs of real worker processes, one of which is killed or frozen in the middle of a run.

use std::collections::BTreeMap;

use rustix::process::Signal;
use serde_json::Value;
use sqlx::PgConnection;
use testkit::eventually;

use crate::projections::LIMIT;
use crate::support::{Client, Process, Site};

/// What `eventstore.add_partitions` waits for: whoever holds it holds up that job in the middle.
const PARTITIONS_LOCK: i64 = 107_126_926_175_348;

impl Site {
    /// What `annals jobs show --json` says of the job `name`.
    fn job(&self, name: &str) -> Value {
        serde_json::from_str(&self.run(&["jobs", "show", name, "--json"]).ok()).unwrap()
    }

    /// Waits until the last run of the job `name` is as `expected` says.
    pub(crate) async fn last_run(&self, name: &str, expected: impl Fn(&Value) -> bool) -> Value {
        eventually(LIMIT, "the last run", async || {
            let job = self.job(name);
            let run = job["runs"][0].clone();
            if expected(&run) { Ok(run) } else { Err(job) }
        })
        .await
    }
}

async fn locked(site: &Site) -> PgConnection {
    let mut lock = site.database.pool().acquire().await.unwrap().detach();
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(PARTITIONS_LOCK)
        .execute(&mut lock)
        .await
        .unwrap();
    lock
}

async fn unlock(mut lock: PgConnection) {
    sqlx::query("SELECT pg_advisory_unlock($1)")
        .bind(PARTITIONS_LOCK)
        .execute(&mut lock)
        .await
        .unwrap();
}

async fn three_workers(site: &Site, name: &str) -> Vec<Process> {
    let mut workers: Vec<_> =
        (1..=3).map(|number| site.serve(&format!("{name}-{number}"), &["worker"])).collect();
    for worker in &mut workers {
        eventually(LIMIT, "the worker to run jobs", async || {
            let answer = reqwest::get(worker.url("/readyz")).await;
            let answer = answer.map_err(|_| "no answer")?;
            let readiness: Value = answer.json().await.map_err(|_| "no document")?;
            let parts = readiness["parts"].as_array().ok_or("no parts")?;
            let jobs = parts.iter().find(|part| part["name"] == "jobs").ok_or("no jobs")?;
            if jobs["ok"] == true { Ok(()) } else { Err("not ok") }
        })
        .await;
    }
    workers
}

/// The one of `workers` that the ledger names.
fn holder(workers: &mut Vec<Process>, run: &Value) -> Process {
    let owner = run["owner"].as_str().unwrap();
    let is_owner = |worker: &Process| owner.ends_with(&format!("process {}", worker.id()));
    workers.remove(workers.iter().position(is_owner).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_worker_is_killed_is_taken_over_by_another() {
    let site = Site::new().await;
    let mut workers = three_workers(&site, "jobs-killed").await;
    let lock = locked(&site).await;
    let asked = site.run(&["jobs", "run", "partitions-ahead", "--by", "ada"]).ok();
    assert!(asked.starts_with("partitions-ahead is to be run now, as of "), "{asked}");
    let run = site.last_run("partitions-ahead", |run| run["state"] == "running").await;
    assert_eq!((&run["epoch"], &run["manual"]), (&1.into(), &true.into()), "{run}");
    holder(&mut workers, &run).kill9();

    let taken = site.last_run("partitions-ahead", |run| run["epoch"] != 1).await;
    assert_ne!(taken["owner"], run["owner"]);
    unlock(lock).await;
    let done = site.last_run("partitions-ahead", |run| run["state"] == "done").await;
    assert_eq!((&done["slot"], &done["outcome"]), (&run["slot"], &"there are enough".into()));
    // One run, for all that happened.
    let manual: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM jobs.runs WHERE job = 'partitions-ahead' AND manual",
    )
    .fetch_one(&site.database.pool())
    .await
    .unwrap();
    assert_eq!(manual, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_worker_that_wakes_up_late_records_nothing() {
    let site = Site::new().await;
    let mut workers = three_workers(&site, "jobs-frozen").await;
    let lock = locked(&site).await;
    site.run(&["jobs", "run", "partitions-ahead"]).ok();
    let run = site.last_run("partitions-ahead", |run| run["state"] == "running").await;
    let frozen = holder(&mut workers, &run);
    frozen.signal(Signal::STOP);
    let taken = site.last_run("partitions-ahead", |run| run["epoch"] != 1).await;
    assert_ne!(taken["owner"], run["owner"]);
    unlock(lock).await;
    let done = site.last_run("partitions-ahead", |run| run["state"] == "done").await;

    frozen.signal(Signal::CONT);
    eventually(LIMIT, "the late one to be refused", async || {
        let output = frozen.output();
        let refused = ["the lease of a run is lost", "the end of a run is refused"];
        if refused.iter().any(|line| output.contains(line)) { Ok(()) } else { Err(output) }
    })
    .await;
    let after = site.last_run("partitions-ahead", |_| true).await;
    assert_eq!(after, done, "the ledger is as it was");
    let lost = "annals_job_runs_total{job=\"partitions-ahead\",outcome=\"lost\"} 1\n";
    eventually(LIMIT, "the metric to tell", async || {
        let metrics = Client::new(frozen.url("")).text("/metrics").await;
        if metrics.contains(lost) { Ok(()) } else { Err(metrics) }
    })
    .await;
}

/// The count of the log is due every ten seconds: whoever runs it, each slot has one row, done once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_workers_run_each_slot_once() {
    let site = Site::new().await;
    let mut workers = three_workers(&site, "jobs-each").await;
    let digests = async |most: usize| {
        eventually(LIMIT, "slots to be done", async || {
            let job = site.job("projection-digests");
            let runs = job["runs"].as_array().unwrap().clone();
            let done: Vec<_> = runs.into_iter().filter(|run| run["state"] == "done").collect();
            if done.len() >= most { Ok(done) } else { Err(job) }
        })
        .await
    };
    digests(1).await;
    // One stops, another is killed; what is due goes on.
    let mut stopping = workers.pop().unwrap();
    stopping.signal(Signal::TERM);
    assert!(stopping.ended(LIMIT).await.success(), "{}", stopping.output());
    workers.pop().unwrap().kill9();
    let done = digests(3).await;
    let slots: BTreeMap<_, _> =
        done.iter().map(|run| (run["slot"].as_str().unwrap(), run)).collect();
    assert_eq!(slots.len(), done.len());
    for run in &done {
        assert_eq!((&run["epoch"], &run["attempts"]), (&1.into(), &1.into()), "{run}");
        assert_eq!(run["outcome"], "nothing differs");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_retries_and_skips() {
    let site = Site::new().await;
    let pool = site.database.pool();
    let list = site.run(&["jobs", "list"]).ok();
    for job in ["inbox-retention", "partitions-ahead", "command-retention", "projection-digests"] {
        assert!(list.contains(&format!("{job:<20} never ")), "{list}");
    }
    assert!(list.contains("at 03:30 (UTC)\n"), "{list}");
    assert!(list.contains("every 10 seconds (UTC)\n"), "{list}");
    // As if a worker had tried in vain.
    sqlx::raw_sql(
        "INSERT INTO jobs.runs (job, slot, state, attempts, finished_at, outcome)
         SELECT 'inbox-retention', '2026-01-01T00:23:00Z'::timestamptz + number * interval '1 h', 'parked', 5,
                clock_timestamp(), 'no room'
         FROM generate_series(0, 2) AS number",
    )
    .execute(&pool)
    .await
    .unwrap();
    let shown = site.run(&["jobs", "show", "inbox-retention"]).ok();
    assert!(shown.contains("2026-01-01T02:23:00Z parked, begun 5 times: no room\n"), "{shown}");
    let slot = "2026-01-01T00:23:00Z";
    site.run(&["jobs", "skip", "inbox-retention", slot, "--reason", "too late", "--by", "ada"])
        .ok();
    let shown = site.job("inbox-retention");
    assert_eq!(shown["runs"][2]["outcome"], "skipped by ada, too late: no room");
    assert_eq!(shown["overview"]["parked"], 2);
    let refused = site.run(&["jobs", "retry", "inbox-retention", slot]).refused();
    assert_eq!(refused, format!("annals: the run of inbox-retention of {slot} is skipped"));
    let refused = site.run(&["jobs", "show", "tea"]).refused();
    assert!(refused.starts_with("annals: no job is called \"tea\"; there are: inbox-retention, "));

    let retried = site.run(&["jobs", "retry", "inbox-retention", "--all"]).ok();
    assert_eq!(retried.lines().count(), 2, "{retried}");
    let worker = site.serve("jobs-operator", &["worker"]);
    // The latest counts: what came before is settled by it.
    eventually(LIMIT, "the retried ones to be run", async || {
        let states: Vec<String> = sqlx::query_scalar(
            "SELECT state FROM jobs.runs WHERE job = 'inbox-retention' AND slot < '2026-02-01' ORDER BY slot",
        )
        .fetch_all(&pool)
        .await
        .unwrap();
        if states[1..] == ["done", "done"] { Ok(()) } else { Err(states) }
    })
    .await;
    let done: Vec<(String, String)> =
        sqlx::query_as("SELECT actor, action FROM jobs.interventions ORDER BY id")
            .fetch_all(&pool)
            .await
            .unwrap();
    let done: Vec<_> = done.iter().map(|(who, what)| (who.as_str(), what.as_str())).collect();
    assert_eq!(done, [("ada", "skip"), ("operator", "retry"), ("operator", "retry")]);
    let metrics = Client::new(worker.url("")).text("/metrics").await;
    for line in [
        "annals_job_runs_total{job=\"inbox-retention\",outcome=\"done\"} 2\n",
        "annals_job_seconds_count{job=\"inbox-retention\"} 2\n",
        "annals_jobs_parked{job=\"inbox-retention\"} 0\n",
        "annals_job_behind_seconds{job=\"partitions-ahead\"} 0\n",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}
