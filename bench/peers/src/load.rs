//! The load loop: tasks that do one thing again and again for a time.
//!
//! A task begins the next operation when its last one is done, so the load is closed: a slow store
//! is asked less often, and the latencies are those of a system at its limit. An operation that
//! the store refuses because of a conflict is done again until it succeeds, at once and without
//! bound; its latency is that of all its attempts.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;

use crate::latency::Latencies;
use crate::peer::Attempt;

/// What a load has shown.
#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) latencies: Latencies,
    /// From the start to the end of the last operation.
    pub(crate) elapsed: Duration,
    pub(crate) retries: u64,
}

/// Runs `operation` in `tasks` tasks until `duration` has passed; operations begun before that
/// are completed and counted.
///
/// The first error ends it all: numbers from a store that fails mean nothing.
pub(crate) async fn run<O, F>(tasks: u16, duration: Duration, operation: O) -> Result<Load>
where
    O: Fn() -> F + Clone + Send + 'static,
    F: Future<Output = Result<Attempt>> + Send,
{
    let start = Instant::now();
    let deadline = start + duration;
    let mut set = JoinSet::new();
    for _ in 0..tasks {
        let operation = operation.clone();
        set.spawn(async move {
            let (mut samples, mut retries) = (Vec::new(), 0);
            let mut begun = Instant::now();
            while begun < deadline {
                while operation().await? == Attempt::Conflict {
                    retries += 1;
                }
                let now = Instant::now();
                samples.push(now - begun);
                begun = now;
            }
            anyhow::Ok((samples, retries))
        });
    }
    let (mut samples, mut retries) = (Vec::new(), 0);
    while let Some(task) = set.join_next().await {
        let (of_task, its_retries) = task.context("a task of the load panicked")??;
        samples.extend(of_task);
        retries += its_retries;
    }
    let elapsed = start.elapsed();
    Ok(Load { latencies: samples.into_iter().collect(), elapsed, retries })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[tokio::test]
    async fn conflicts_are_retried_and_counted_apart() {
        let calls = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&calls);
        let load = run(2, Duration::from_millis(50), move || {
            let call = counted.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Ok(if call.is_multiple_of(2) { Attempt::Conflict } else { Attempt::Done })
            }
        })
        .await
        .unwrap();
        let done = u64::try_from(load.latencies.count()).unwrap();
        assert_eq!(done + load.retries, calls.load(Ordering::Relaxed));
        assert!(load.retries > 0 && load.elapsed >= Duration::from_millis(50));
    }

    #[tokio::test]
    async fn an_error_ends_the_load() {
        let outcome = run(2, Duration::from_mins(1), || async { anyhow::bail!("no") }).await;
        assert_eq!(outcome.unwrap_err().to_string(), "no");
    }
}
