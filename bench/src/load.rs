//! Runs work in many tasks for a while, and says how often and how long each took.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

/// How often something was done, and how long it took.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Times per second, of all tasks together.
    pub(crate) rate_per_s: f64,
    /// The time that half of them stayed under.
    pub(crate) p50_ms: f64,
    /// The time that 99 of 100 stayed under.
    pub(crate) p99_ms: f64,
}

/// Does `work` again and again in `tasks` tasks until `time` is over; each gets its number.
pub(crate) async fn run<W, F>(tasks: usize, time: Duration, work: W) -> anyhow::Result<Measured>
where
    W: Fn(usize) -> F + Clone + Send + 'static,
    F: Future<Output = anyhow::Result<()>> + Send,
{
    let over = Arc::new(AtomicBool::new(false));
    let mut running = JoinSet::new();
    let began = Instant::now();
    for task in 0..tasks {
        let (work, over) = (work.clone(), Arc::clone(&over));
        running.spawn(async move {
            let mut times = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                work(task).await?;
                times.push(began.elapsed());
            }
            anyhow::Ok(times)
        });
    }
    tokio::time::sleep(time).await;
    over.store(true, Ordering::Relaxed);
    let mut times = Vec::new();
    while let Some(finished) = running.join_next().await {
        times.extend(finished??);
    }
    Ok(measured(times, began.elapsed()))
}

/// Sums up what took `times` each and `whole` together.
pub(crate) fn measured(mut times: Vec<Duration>, whole: Duration) -> Measured {
    times.sort_unstable();
    let at = |percent: usize| {
        let time = times.get(times.len() * percent / 100).or(times.last());
        time.map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
    };
    Measured {
        rate_per_s: count(times.len()) / whole.as_secs_f64(),
        p50_ms: at(50),
        p99_ms: at(99),
    }
}

/// A number of things, as a number to divide by.
#[expect(clippy::cast_precision_loss, reason = "nobody measures 2^52 things here")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}
