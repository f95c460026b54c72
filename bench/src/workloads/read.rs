//! Reading a stream, and the whole log.

use std::time::Instant;

use eventstore::{Filter, Position, StreamSlice};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::{Plan, median};
use crate::load::{Measured, count};
use crate::report::{Report, Target};
use crate::{event, ground, peers, server};

const EVENTS: i64 = 1_000_000;
const STREAM: i64 = 1_000;

/// What the replay of the whole log took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Replayed {
    events: usize,
    seconds: f64,
    /// Most memory it ever took, above what it had when it began.
    memory_mib: f64,
}

pub(super) async fn run(plan: &Plan<'_>, report: &mut Report) -> anyhow::Result<()> {
    report.title("Read: an aggregate of 1,000 events, and a log of 1,000,000");
    let database = plan.server.database().await;
    let url = database.url();
    let store = server::store(url).await?;
    let of = event::id();
    for version in (0..STREAM).step_by(500) {
        let mut append = event::append(of, version);
        append.events = vec![append.events[0].clone(); 500];
        store.append(append).await?;
    }
    ground::fill(url, EVENTS - STREAM).await?;

    let pool = server::pool(url).await?;
    let stream = event::stream(of);
    let (mut bare, mut ours) = (vec![], vec![]);
    for _ in 0..plan.rounds {
        let began = Instant::now();
        let mut times = 0;
        while began.elapsed() < plan.time / 2 {
            times += ground::read_stream(&pool, &stream).await?;
        }
        bare.push(per_second(times, began));
        let began = Instant::now();
        let mut times = 0;
        while began.elapsed() < plan.time / 2 {
            let events: Vec<_> = store.read_stream(&stream, StreamSlice::ALL).try_collect().await?;
            times += events.len();
        }
        ours.push(per_second(times, began));
    }
    let [bare, ours] = [bare, ours].map(median);
    report.rate("aggregate of 1,000: bare binary SELECT, events", bare);
    report.rate("aggregate of 1,000: read_stream, events", ours);
    report.figure(
        "read_stream / bare SELECT",
        ours.rate_per_s / bare.rate_per_s,
        "",
        Target::AtLeast(0.7),
    );

    let (mut bare, mut ours, mut memory) = (vec![], vec![], 0.0_f64);
    for _ in 0..plan.rounds {
        let began = Instant::now();
        bare.push(per_second(ground::read_log(&pool, 5_000).await?, began));
        let output = Command::new(std::env::current_exe()?).args(["replay", url]).output().await?;
        let replayed: Replayed = serde_json::from_slice(&output.stdout)?;
        anyhow::ensure!(i64::try_from(replayed.events)? == EVENTS, "it read {replayed:?}");
        let rate_per_s = count(replayed.events) / replayed.seconds;
        ours.push(Measured { rate_per_s, ..Measured::default() });
        memory = memory.max(replayed.memory_mib);
    }
    let [bare, ours] = [bare, ours].map(median);
    report.rate("whole log: bare prepared pages of 5,000, events", bare);
    report.rate("whole log: read_log, events", ours);
    report.figure(
        "read_log / bare pages",
        ours.rate_per_s / bare.rate_per_s,
        "",
        Target::AtLeast(0.7),
    );
    report.figure("memory of read_log above idle", memory, "MiB", Target::AtMost(64.0));
    let Some(programs) = &plan.peers else { return Ok(()) };
    for peer in peers::ALL {
        let answer = programs.run(peer, "replay", &plan.server.url(), &[]).await?;
        match &answer.unsupported {
            Some(why) => report.note(format!("{peer}: {why}")),
            None => report.rate(format!("whole log: {peer}, events"), answer.measured()),
        }
    }
    Ok(())
}

/// What a child process does.
pub(crate) async fn replay(url: &str) -> anyhow::Result<Replayed> {
    let store = server::store(url).await?;
    let idle = peak_mib()?;
    let began = Instant::now();
    let mut events = 0;
    let mut log = store.read_log(Filter::everything(), Position::START, Position::MAX);
    while log.try_next().await?.is_some() {
        events += 1;
    }
    let seconds = began.elapsed().as_secs_f64();
    Ok(Replayed { events, seconds, memory_mib: peak_mib()? - idle })
}

/// The most memory this process ever had.
pub(super) fn peak_mib() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
    let kib: f64 = peak.ok_or_else(|| anyhow::anyhow!("no VmHWM"))?.parse()?;
    Ok(kib / 1024.0)
}

fn per_second(events: usize, began: Instant) -> Measured {
    let rate_per_s = count(events) / began.elapsed().as_secs_f64();
    Measured { rate_per_s, ..Measured::default() }
}
