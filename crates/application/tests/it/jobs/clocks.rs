//! One run for each slot, whatever the clocks do and however long nobody was there.

use application::jobs::{Missed, Schedule};
use chrono::TimeDelta;
use chrono_tz::Tz;

use super::world::{World, at, stop_all, writer};

const BERLIN: Tz = Tz::Europe__Berlin;
const EACH: Missed = Missed::Each { most: 100 };

/// Three processes while the clocks are changed: `night` is when 02:30 was due in UTC.
async fn over_a_change_of_the_clocks(from: &str, upto: &str, night: &[&str], hours: usize) {
    let world = World::new(from).await;
    let jobs = |pool: sqlx::PgPool, process: String| {
        let to = || (pool.clone(), process.clone());
        vec![
            writer("quarters", ("*/15 * * * *", BERLIN), EACH, to()),
            writer("night", ("30 2 * * *", BERLIN), EACH, to()),
            writer("hours", ("0 * * * *", BERLIN), Missed::Latest, to()),
        ]
    };
    let processes = world.start_three(jobs).await;
    world.settles().await;
    // By steps that are never the same.
    let (mut now, mut step) = (at(from), 1);
    while now < at(upto) {
        now = (now + TimeDelta::seconds(step)).min(at(upto));
        step = (step * 7 + 61) % 2_000;
        world.set(now);
        world.settles().await;
    }
    stop_all(processes).await;

    let nights: Vec<_> = night.iter().map(|text| at(text)).collect();
    assert_eq!(world.effects("night").await, nights);
    let quarters = world.effects("quarters").await;
    assert_eq!(quarters.len(), hours * 4, "four in each hour that passed");
    assert!(quarters.windows(2).all(|two| two[1] - two[0] == TimeDelta::minutes(15)));
    assert_eq!(world.effects("hours").await.len(), hours, "no step was an hour long");
    for (job, expression) in [("quarters", "*/15 * * * *"), ("night", "30 2 * * *")] {
        let slots = Schedule::new(expression, BERLIN).unwrap().between(at(from), at(upto));
        assert_eq!(world.effects(job).await, slots);
        assert_eq!(world.slots(job, "done").await, slots);
        let rows = world.ledger(job).await;
        assert!(rows.iter().all(|row| (row.attempts, row.epoch) == (1, 1)), "{rows:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_run_each_slot_once_when_an_hour_is_missing() {
    over_a_change_of_the_clocks(
        "2026-03-28T22:00:00Z",
        "2026-03-30T01:00:00Z",
        &["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"],
        27,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_processes_run_each_slot_once_when_an_hour_comes_twice() {
    over_a_change_of_the_clocks(
        "2026-10-24T22:00:00Z",
        "2026-10-26T02:00:00Z",
        &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        28,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_hour_without_any_process_the_policy_says_what_is_run() {
    let world = World::new("2026-06-01T11:59:30Z").await;
    let minutely = ("* * * * *", BERLIN);
    let jobs = |pool: sqlx::PgPool, process: String| {
        let to = || (pool.clone(), process.clone());
        vec![
            writer("latest", minutely, Missed::Latest, to()),
            writer("some", minutely, Missed::Each { most: 10 }, to()),
            writer("each", minutely, EACH, to()),
            writer("daily", ("30 14 * * *", BERLIN), Missed::Latest, to()),
        ]
    };
    let processes = world.start_three(jobs).await;
    world.settles().await;
    world.set(at("2026-06-01T12:00:00Z"));
    world.settles().await;
    stop_all(processes).await;

    world.set(at("2026-06-01T13:00:00Z"));
    let processes = world.start_three(jobs).await;
    world.settles().await;
    for (job, run) in [("latest", 1), ("some", 10), ("each", 60)] {
        let minutes = |from: i64| {
            (from..=60).map(|minute| at("2026-06-01T12:00:00Z") + TimeDelta::minutes(minute))
        };
        let mut done: Vec<_> = minutes(61 - run).collect();
        done.insert(0, at("2026-06-01T12:00:00Z"));
        assert_eq!(world.slots(job, "done").await, done, "{job}");
        assert_eq!(world.effects(job).await, done, "{job}");
        let skipped: Vec<_> = minutes(1).take(usize::try_from(60 - run).unwrap()).collect();
        assert_eq!(world.slots(job, "skipped").await, skipped, "{job}");
    }
    assert_eq!(world.effects("daily").await, [at("2026-06-01T12:30:00Z")]);
    // In order, one after the other.
    let in_order: bool = sqlx::query_scalar(
        "SELECT bool_and(started_at >= before) FROM (
             SELECT started_at, lag(finished_at) OVER (ORDER BY slot) AS before
             FROM jobs.runs WHERE job = 'each' AND state = 'done') AS runs",
    )
    .fetch_one(&world.pool())
    .await
    .unwrap();
    assert!(in_order);
    stop_all(processes).await;

    // A year: no more rows than people can read.
    world.set(at("2027-06-01T13:00:00Z"));
    let process = world.start("alone", jobs).await;
    world.settles().await;
    let rows = world.ledger("latest").await;
    let rows: Vec<_> = rows.iter().filter(|row| row.slot > at("2026-06-01T13:00:00Z")).collect();
    assert_eq!(rows.len(), 1_001);
    let first = rows[0].outcome.as_ref().unwrap();
    assert_eq!(first, "missed, as were all others since 2026-06-01 13:00:00 UTC");
    assert_eq!(world.effects("latest").await.last(), Some(&at("2027-06-01T13:00:00Z")));
    process.stop().await;
}

#[tokio::test]
async fn a_new_job_has_missed_nothing_and_a_clock_that_goes_back_repeats_nothing() {
    let world = World::new("2026-06-01T12:00:30Z").await;
    let jobs =
        |pool, process| vec![writer("minutely", ("* * * * *", BERLIN), EACH, (pool, process))];
    let process = world.start("first", jobs).await;
    world.settles().await;
    assert_eq!(world.ledger("minutely").await, []);
    world.set(at("2026-06-01T12:02:00Z"));
    world.settles().await;
    world.set(at("2026-06-01T12:00:00Z"));
    world.set(at("2026-06-01T12:03:10Z"));
    world.eventually("minutely", |rows| rows.len() == 3 && rows[2].state == "done").await;
    assert_eq!(world.effects("minutely").await.len(), 3);
    process.stop().await;
}
