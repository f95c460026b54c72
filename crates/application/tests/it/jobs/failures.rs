//! What fails is tried again with pauses that double, then parked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use application::jobs::{Job, JobError, Missed, Outcome, Run, RunnerStatus, Schedule};
use chrono_tz::Tz;
use testkit::eventually;

use super::world::{LIMIT, Row, World, at};

/// A job that fails as long as it is `broken`.
fn fragile(broken: &Arc<AtomicBool>, tries: &Arc<AtomicU32>) -> Job {
    let (broken, tries) = (Arc::clone(broken), Arc::clone(tries));
    let schedule = Schedule::new("* * * * *", Tz::UTC).unwrap();
    let job = Job::new("fragile", "fails", schedule, move |_: Run| {
        let (broken, number) = (Arc::clone(&broken), tries.fetch_add(1, Ordering::Relaxed));
        async move {
            if !broken.load(Ordering::Relaxed) {
                return Ok("whole again".to_owned());
            }
            assert!(number % 2 == 0, "broken to pieces");
            Err(JobError::from("broken"))
        }
    });
    Job { attempts: 4, pause: Duration::from_millis(40), ..job }
}

fn last_is(state: &str) -> impl Fn(&[Row]) -> bool {
    move |rows| rows.last().is_some_and(|row| row.state == state)
}

/// Pauses of minutes, which this does not wait for: it says that they are over.
#[tokio::test]
async fn what_fails_is_tried_again_with_pauses_that_double_and_then_parked() {
    let world = World::new("2026-06-01T12:00:30Z").await;
    let (broken, tries) = (Arc::new(AtomicBool::new(true)), Arc::default());
    let each = Missed::Each { most: 10 };
    let pause = Duration::from_mins(10);
    let jobs = |_, _| vec![Job { missed: each, attempts: 6, pause, ..fragile(&broken, &tries) }];
    let process = world.start("first", jobs).await;
    world.settles().await;
    world.set(at("2026-06-01T12:01:00Z"));
    for (attempt, minutes) in (1..).zip([10.0, 20.0, 40.0, 60.0, 60.0]) {
        let failed = |rows: &[Row]| {
            rows.first().is_some_and(|row| row.state == "due" && row.attempts == attempt)
        };
        world.eventually("fragile", failed).await;
        let left = "SELECT extract(epoch FROM next_try_at - clock_timestamp())::float8 / 60 FROM jobs.runs";
        let left: f64 = sqlx::query_scalar(left).fetch_one(&world.pool()).await.unwrap();
        assert!((minutes - 2.0..=minutes).contains(&left), "{attempt}: {left} minutes");
        let over = "UPDATE jobs.runs SET next_try_at = clock_timestamp()";
        sqlx::query(over).execute(&world.pool()).await.unwrap();
    }
    let rows = world.eventually("fragile", last_is("parked")).await;
    assert_eq!((rows[0].attempts, rows[0].epoch), (6, 6));
    assert_eq!(rows[0].outcome.as_deref(), Some("panicked: broken to pieces"));
    let outcomes = eventually(LIMIT, "the last attempt to be told", async || {
        let outcomes: Vec<_> = world.ended().into_iter().map(|(_, _, outcome)| outcome).collect();
        if outcomes.len() == 6 { Ok(outcomes) } else { Err(outcomes) }
    })
    .await;
    assert_eq!(outcomes[..5], [Outcome::Failed; 5]);
    assert_eq!(outcomes[5..], [Outcome::Parked]);

    // Later slots do not wait for somebody, and where each counts, what is parked stays.
    broken.store(false, Ordering::Relaxed);
    world.set(at("2026-06-01T12:02:00Z"));
    let rows = world.eventually("fragile", last_is("done")).await;
    assert_eq!(rows[0].state, "parked");
    process.stop().await;
}

#[tokio::test]
async fn where_only_the_latest_counts_attempts_are_handed_on_and_a_done_one_settles_the_parked() {
    let world = World::new("2026-06-01T12:00:30Z").await;
    let (broken, tries) = (Arc::new(AtomicBool::new(true)), Arc::default());
    // A pause longer than this test: only the next slot is another attempt.
    let hour = Duration::from_hours(1);
    let jobs = |_, _| vec![Job { pause: hour, ..fragile(&broken, &tries) }];
    let process = world.start("first", jobs).await;
    world.settles().await;
    for attempt in 1..=4 {
        world.set(at("2026-06-01T12:00:00Z") + chrono::TimeDelta::minutes(attempt.into()));
        let now = "UPDATE jobs.runs SET next_try_at = clock_timestamp() WHERE state = 'due'";
        let slots = usize::try_from(attempt).unwrap();
        world.eventually("fragile", |rows| rows.len() == slots).await;
        if attempt > 1 {
            sqlx::query(now).execute(&world.pool()).await.unwrap();
        }
        let has_failed =
            |row: &Row| row.attempts == attempt && matches!(row.state.as_str(), "due" | "parked");
        world.eventually("fragile", |rows| rows.last().is_some_and(has_failed)).await;
    }
    let rows = world.eventually("fragile", last_is("parked")).await;
    assert_eq!(rows.len(), 4);
    assert_eq!(
        rows[1].outcome.as_deref(),
        Some("a later one takes its place: panicked: broken to pieces")
    );
    broken.store(false, Ordering::Relaxed);
    world.set(at("2026-06-01T12:05:00Z"));
    let rows = world.eventually("fragile", last_is("done")).await;
    let states: Vec<_> = rows.iter().map(|row| row.state.as_str()).collect();
    assert_eq!(states, ["skipped", "skipped", "skipped", "skipped", "done"]);
    assert_eq!(
        rows[3].outcome.as_deref(),
        Some("a later one was done: panicked: broken to pieces")
    );
    process.stop().await;
}

#[tokio::test]
async fn a_runner_says_that_it_cannot_look_and_goes_on() {
    let world = World::new("2026-06-01T12:00:30Z").await;
    let (broken, tries) = (Arc::new(AtomicBool::new(false)), Arc::default());
    let (process, mut status) =
        world.start_with_status("first", |_, _| vec![fragile(&broken, &tries)]).await;
    world.settles().await;
    let rename = "ALTER TABLE jobs.plans RENAME TO away";
    sqlx::query(rename).execute(&world.pool()).await.unwrap();
    world.set(at("2026-06-01T12:01:00Z"));
    let failing = |status: &RunnerStatus| matches!(status, RunnerStatus::Failing { .. });
    status.wait_for(failing).await.unwrap();
    sqlx::query("ALTER TABLE jobs.away RENAME TO plans").execute(&world.pool()).await.unwrap();
    world.set(at("2026-06-01T12:02:00Z"));
    status.wait_for(|status| *status == RunnerStatus::Working).await.unwrap();
    world.eventually("fragile", last_is("done")).await;
    process.stop().await;
}
