//! Who runs what: taken over from the dead, refused to the late, given back by those who stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use application::jobs::{Job, JobError, Missed, Outcome, Run, Schedule};
use chrono_tz::Tz;
use sqlx::PgPool;
use tokio::sync::Notify;

use super::world::{LIMIT, World, at, write, writer};

const MINUTELY: &str = "* * * * *";

/// A job whose work waits in the process `first` until it is told, and does not care for being stopped.
fn stubborn(pool: PgPool, process: String, go: Arc<Notify>) -> Job {
    let schedule = Schedule::new(MINUTELY, Tz::UTC).unwrap();
    Job::new("stubborn", "waits", schedule, move |run: Run| {
        let (pool, process, go) = (pool.clone(), process.clone(), Arc::clone(&go));
        async move {
            if process == "first" {
                go.notified().await;
            }
            write(pool, "stubborn", process, run).await
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_late_records_nothing_and_has_no_effect() {
    let world = World::new("2026-06-01T12:00:30Z").await;
    let go = Arc::new(Notify::new());
    let jobs = |pool, process| vec![stubborn(pool, process, Arc::clone(&go))];
    let first = world.start("first", jobs).await;
    world.settles().await;
    world.set(at("2026-06-01T12:01:00Z"));
    world.eventually("stubborn", |rows| rows.len() == 1 && rows[0].state == "running").await;

    let second = world.start("second", jobs).await;
    world.leases_run_out().await;
    world.eventually("stubborn", |rows| rows[0].state == "done").await;
    go.notify_one();
    testkit::eventually(LIMIT, "the late one to be refused", async || {
        let ended = world.ended();
        let is_refused = ended.contains(&("first".to_owned(), "stubborn", Outcome::Lost));
        if is_refused { Ok(()) } else { Err(ended) }
    })
    .await;
    let rows = world.ledger("stubborn").await;
    assert_eq!((rows.len(), rows[0].epoch, rows[0].attempts), (1, 2, 2));
    assert_eq!(rows[0].owner.as_deref(), Some("second"));
    assert_eq!(rows[0].outcome.as_deref(), Some("written by second"));
    assert_eq!(world.effects("stubborn").await.len(), 1, "the fence kept the late one out");
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_is_kept_as_long_as_the_work_takes() {
    let world = World::new("2026-06-01T12:00:30Z").await;
    let go = Arc::new(Notify::new());
    let jobs = |pool, process| vec![stubborn(pool, process, Arc::clone(&go))];
    let first = world.start("first", jobs).await;
    world.settles().await;
    world.set(at("2026-06-01T12:01:00Z"));
    world.eventually("stubborn", |rows| rows.len() == 1 && rows[0].state == "running").await;
    let second = world.start("second", jobs).await;
    // It is renewed, more than once: it would have run out a moment later, and the other looks.
    for _ in 0..2 {
        let short = "UPDATE jobs.runs SET lease_until = clock_timestamp() + interval '4 s'";
        sqlx::query(short).execute(&world.pool()).await.unwrap();
        testkit::eventually(LIMIT, "the lease to be renewed", async || {
            world.set(at("2026-06-01T12:01:00Z"));
            let left = "SELECT lease_until > clock_timestamp() + interval '5 s' FROM jobs.runs";
            let renewed: bool = sqlx::query_scalar(left).fetch_one(&world.pool()).await.unwrap();
            if renewed { Ok(()) } else { Err("not yet") }
        })
        .await;
    }
    go.notify_one();
    let rows = world.eventually("stubborn", |rows| rows[0].state == "done").await;
    assert_eq!((rows[0].epoch, rows[0].owner.as_deref()), (1, Some("first")));
    first.stop().await;
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_process_ran_is_taken_over_and_what_always_ends_it_is_parked() {
    let world = World::new("2026-06-01T12:00:30Z").await;
    let jobs = |pool, process: String| {
        vec![Job { attempts: 2, ..stubborn(pool, process, Arc::new(Notify::new())) }]
    };
    let mut process = world.start("first", jobs).await;
    world.settles().await;
    world.set(at("2026-06-01T12:01:00Z"));
    for attempt in 1..=2 {
        world
            .eventually("stubborn", |rows| {
                rows.first().is_some_and(|row| row.state == "running" && row.attempts == attempt)
            })
            .await;
        process.abort().await;
        world.leases_run_out().await;
        process = world.start("first", jobs).await;
    }
    let rows = world.eventually("stubborn", |rows| rows[0].state == "parked").await;
    let error = "its process ended in the middle of it, 2 times";
    assert_eq!((rows[0].epoch, rows[0].outcome.as_deref()), (3, Some(error)));
    process.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_gives_back_at_once_what_it_runs() {
    let world = World::new("2026-06-01T12:00:30Z").await;
    let told = Arc::new(AtomicBool::new(false));
    let jobs = |pool: PgPool, process: String| {
        let (schedule, told) = (Schedule::new(MINUTELY, Tz::UTC).unwrap(), Arc::clone(&told));
        vec![Job::new("polite", "stops", schedule, move |run: Run| {
            let (pool, process, told) = (pool.clone(), process.clone(), Arc::clone(&told));
            async move {
                if process == "first" {
                    run.stop().cancelled().await;
                    told.store(true, Ordering::Relaxed);
                    return Err("stopped in the middle".into());
                }
                write(pool, "polite", process, run).await
            }
        })]
    };
    let first = world.start("first", jobs).await;
    world.settles().await;
    world.set(at("2026-06-01T12:01:00Z"));
    world.eventually("polite", |rows| rows.len() == 1 && rows[0].state == "running").await;
    let second = world.start("second", jobs).await;
    first.stop().await;
    assert!(told.load(Ordering::Relaxed));
    assert_eq!(world.ended(), [("first".to_owned(), "polite", Outcome::GivenBack)]);
    // No tick and no lease that runs out: the other is told.
    let rows = testkit::eventually(LIMIT, "the other to run it", async || {
        let rows = world.ledger("polite").await;
        if rows[0].state == "done" { Ok(rows) } else { Err(rows) }
    })
    .await;
    assert_eq!((rows[0].attempts, rows[0].epoch), (1, 2), "an attempt that was cut off counts not");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_job_holds_up_no_other_and_never_runs_beside_itself() {
    let world = World::new("2026-06-01T12:00:30Z").await;
    let go = Arc::new(Notify::new());
    let jobs = |pool: PgPool, process: String| {
        vec![
            stubborn(pool.clone(), "first".to_owned(), Arc::clone(&go)),
            writer("short", (MINUTELY, Tz::UTC), Missed::Latest, (pool, process)),
        ]
    };
    let processes = world.start_three(jobs).await;
    world.settles().await;
    for minute in 1..=5 {
        let now = at("2026-06-01T12:00:00Z") + chrono::TimeDelta::minutes(minute);
        world.set(now);
        world
            .eventually("short", |rows| {
                rows.last().is_some_and(|row| row.slot == now && row.state == "done")
            })
            .await;
    }
    let rows = world.ledger("stubborn").await;
    let states: Vec<_> = rows.iter().map(|row| row.state.as_str()).collect();
    assert_eq!(states, ["running", "skipped", "skipped", "skipped", "due"]);
    // The first goes on, then the latest.
    for _ in 0..2 {
        go.notify_one();
    }
    let all = |rows: &[super::world::Row]| rows[0].state == "done" && rows[4].state == "done";
    world.eventually("stubborn", all).await;
    assert_eq!(world.effects("stubborn").await.len(), 2);
    super::world::stop_all(processes).await;
}

#[tokio::test]
async fn the_ledger_itself_refuses_two_runs_of_a_job_at_once() {
    let world = World::new("2026-06-01T12:00:30Z").await;
    let insert = "INSERT INTO jobs.runs (job, slot, state, lease_until)
                  SELECT 'twice', clock_timestamp() + number * interval '1 s', 'running', clock_timestamp()
                  FROM generate_series(1, 2) AS number";
    let refused = sqlx::query(insert).execute(&world.pool()).await.unwrap_err().to_string();
    assert!(refused.contains("runs_running_key"), "{refused}");
}

/// How long a job may take is said to it, and then it is dropped.
#[tokio::test]
async fn what_takes_too_long_is_a_failure() {
    let world = World::new("2026-06-01T12:00:30Z").await;
    let jobs = |_, _| {
        let schedule = Schedule::new(MINUTELY, Tz::UTC).unwrap();
        let job = Job::new("endless", "hangs", schedule, |_: Run| {
            std::future::pending::<Result<String, JobError>>()
        });
        vec![Job { limit: Duration::from_millis(100), attempts: 1, ..job }]
    };
    let process = world.start("first", jobs).await;
    world.settles().await;
    world.set(at("2026-06-01T12:01:00Z"));
    let parked = |rows: &[super::world::Row]| rows.first().is_some_and(|row| row.state == "parked");
    let rows = world.eventually("endless", parked).await;
    assert_eq!(rows[0].outcome.as_deref(), Some("took longer than 0.1 s"));
    process.stop().await;
}
