//! What operators see and do.

use std::time::Duration;

use application::jobs::operations::{self, OperationError};
use application::jobs::overview::{overview, runs};
use application::jobs::{Job, JobError, Missed, Run, Schedule};
use chrono_tz::Tz;
use sqlx::PgPool;

use super::world::{World, at, writer};

fn daily(pool: PgPool, process: String) -> Job {
    writer("daily", ("0 3 * * *", Tz::Europe__Berlin), Missed::Latest, (pool, process))
}

#[tokio::test]
async fn a_run_beside_the_schedule_is_run_at_once_and_recorded_with_who_asked() {
    let world = World::new("2026-06-01T12:00:00Z").await;
    let process = world.start("first", |pool, process| vec![daily(pool, process)]).await;
    world.settles().await;
    let job = daily(world.pool(), String::new());
    let now = at("2026-06-01T12:34:56.789Z");
    let first = operations::run_now(&world.pool(), &job, now, "ada").await.unwrap();
    let second = operations::run_now(&world.pool(), &job, now, "ada").await.unwrap();
    assert!(first < second, "asked for twice at the same moment it is two runs");
    // Nothing ticks here: asking wakes.
    testkit::eventually(super::world::LIMIT, "both to be run", async || {
        let effects = world.effects("daily").await;
        if effects == [first, second] { Ok(()) } else { Err(effects) }
    })
    .await;
    let asked: Vec<(String, String)> =
        sqlx::query_as("SELECT actor, action FROM jobs.interventions")
            .fetch_all(&world.pool())
            .await
            .unwrap();
    assert_eq!(asked, [("ada".to_owned(), "run".to_owned()), ("ada".to_owned(), "run".to_owned())]);
    let recorded = sqlx::query("DELETE FROM jobs.interventions").execute(&world.pool()).await;
    assert!(recorded.is_err(), "what was done stays recorded");
    process.stop().await;
}

#[tokio::test]
async fn parked_runs_are_retried_and_skipped_and_others_are_not() {
    let world = World::new("2026-06-01T12:00:30Z").await;
    let jobs = |_, _| {
        let schedule = Schedule::new("* * * * *", Tz::UTC).unwrap();
        let failing = Job::new("failing", "fails", schedule, async |_: Run| {
            Err::<String, _>(JobError::from("no"))
        });
        vec![Job { attempts: 1, missed: Missed::Each { most: 10 }, ..failing }]
    };
    let process = world.start("first", jobs).await;
    world.settles().await;
    world.set(at("2026-06-01T12:02:00Z"));
    world
        .eventually("failing", |rows| rows.iter().filter(|row| row.state == "parked").count() == 2)
        .await;
    let (pool, job) = (world.pool(), jobs(world.pool(), String::new()).remove(0));
    let slots = operations::parked(&pool, &job).await.unwrap();
    assert_eq!(slots, [at("2026-06-01T12:01:00Z"), at("2026-06-01T12:02:00Z")]);

    operations::retry(&pool, &job, slots[0], "ada").await.unwrap();
    let again = |rows: &[super::world::Row]| rows[0].state == "parked" && rows[0].epoch == 2;
    world.eventually("failing", again).await;
    operations::skip(&pool, &job, slots[0], "it was a test", "ada").await.unwrap();
    let rows = world.ledger("failing").await;
    let outcome = "skipped by ada, it was a test: no";
    assert_eq!((rows[0].state.as_str(), rows[0].outcome.as_deref()), ("skipped", Some(outcome)));
    let refused = operations::retry(&pool, &job, slots[0], "ada").await.unwrap_err();
    assert_eq!(refused.to_string(), "the run of failing of 2026-06-01T12:01:00Z is skipped");
    let refused = operations::skip(&pool, &job, at("2020-01-01T00:00:00Z"), "x", "ada").await;
    assert!(matches!(refused, Err(OperationError::NoRun { .. })));
    process.stop().await;
}

#[tokio::test]
async fn what_is_behind_and_parked_is_seen_also_when_no_process_is_there() {
    let world = World::new("2026-06-01T00:00:00Z").await;
    let jobs = |pool, process| vec![daily(pool, process)];
    let process = world.start("first", jobs).await;
    world.settles().await;
    process.stop().await;
    let (pool, job) = (world.pool(), daily(world.pool(), String::new()));
    let at_noon = at("2026-06-01T12:00:00Z");
    let overview = overview(&pool, std::slice::from_ref(&job), at_noon).await.unwrap();
    // 03:00 in Berlin.
    assert!((overview[0].behind_seconds - 11.0 * 3_600.0).abs() < 0.1, "{overview:?}");
    assert_eq!(overview[0].next, Some(at("2026-06-02T01:00:00Z")));
    assert_eq!(overview[0].schedule, "0 3 * * * Europe/Berlin");
    assert_eq!(overview[0].parked, 0);
    assert!(runs(&pool, &job, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_ledger_is_pruned_but_for_what_was_last_and_what_is_open() {
    let world = World::new("2026-06-01T12:00:30Z").await;
    let jobs = |pool, process| {
        vec![writer("minutely", ("* * * * *", Tz::UTC), Missed::Each { most: 10 }, (pool, process))]
    };
    let process = world.start("first", jobs).await;
    world.settles().await;
    world.set(at("2026-06-01T12:05:00Z"));
    world.settles().await;
    process.stop().await;
    sqlx::query("UPDATE jobs.runs SET state = 'parked' WHERE slot = '2026-06-01T12:02:00Z'")
        .execute(&world.pool())
        .await
        .unwrap();
    let pool = world.pool();
    assert_eq!(operations::prune(&pool, &[]).await.unwrap(), 0, "kept for a month");
    assert_eq!(operations::prune(&pool, &[("minutely", Duration::ZERO)]).await.unwrap(), 3);
    let left: Vec<_> = world.ledger("minutely").await.into_iter().map(|row| row.state).collect();
    assert_eq!(left, ["parked", "done"]);
}
