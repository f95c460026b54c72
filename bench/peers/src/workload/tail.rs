//! `tail`: writers that append as fast as they can, and one subscriber that follows them.
//!
//! Reported are how much was written, what of it the subscriber has never seen, and the median
//! time from an event's append being acknowledged until the subscriber sees it; an event that it
//! sees before the writer hears of the success counts as no delay. When the writers have stopped,
//! the subscriber has all the time it needs as long as it sees something new now and then: what is
//! reported as missed has not merely come late.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{Numbers, WARM_UP};
use crate::args::Tail;
use crate::latency::Latencies;
use crate::load;
use crate::peer::{Attempt, Log};
use crate::report::{Measured, milliseconds, rate};
use crate::scratch::Scratch;
use crate::sightings::Sightings;

/// How often is looked whether the subscriber has caught up.
const LOOK: Duration = Duration::from_millis(20);
/// Who is still behind after this is not measured but broken.
const CATCH_UP_LIMIT: Duration = Duration::from_mins(5);

/// The events that were acknowledged, and when.
type Acknowledged = Arc<Mutex<Vec<(u64, Instant)>>>;

pub(super) async fn run<P: Log>(peer: &P, scratch: &Scratch, run: &Tail) -> Result<Measured> {
    ensure!(run.load.server.settings.connections > 2, "the subscriber takes up to two connections");
    let sightings = Sightings::default();
    let (stop, stopped) = oneshot::channel();
    let (follower, seen) = (peer.clone(), sightings.clone());
    let mut follower = tokio::spawn(async move { follower.follow(seen, stopped).await });

    let (peer, numbers, acknowledged) = (peer.clone(), Numbers::default(), Acknowledged::default());
    let log = Arc::clone(&acknowledged);
    let write = move || {
        let (peer, number, log) = (peer.clone(), numbers.next(), Arc::clone(&log));
        async move {
            let attempt = peer.append(P::new_id(), number).await?;
            if attempt == Attempt::Done {
                log.lock().unwrap_or_else(PoisonError::into_inner).push((number, Instant::now()));
            }
            Ok(attempt)
        }
    };
    let grace = Duration::from_secs(run.grace_seconds);

    // So that the subscriber stands when it counts.
    load::run(run.tasks, WARM_UP, write.clone()).await?;
    let before = take(&acknowledged);
    let missed = catch_up(&before, &sightings, grace, &mut follower).await?;
    if missed > 0 {
        tracing::warn!("missed {missed} of {} events already while warming up", before.len());
    }
    scratch.settle().await?;

    let load = load::run(run.tasks, run.load.duration(), write).await?;
    let written = take(&acknowledged);
    let missed = catch_up(&written, &sightings, grace, &mut follower).await?;
    let _ = stop.send(());
    follower.await.context("the subscriber panicked")??;
    let delays: Latencies = delays(&written, &sightings).collect();
    Ok(Measured {
        tasks: Some(run.tasks),
        rate_per_s: Some(rate(written.len(), load.elapsed)),
        retries: Some(load.retries),
        written: Some(u64::try_from(written.len())?),
        missed: Some(u64::try_from(missed)?),
        delay_p50_ms: delays.quantile(0.5).map(milliseconds),
        ..Measured::default()
    })
}

fn take(acknowledged: &Acknowledged) -> Vec<(u64, Instant)> {
    std::mem::take(&mut acknowledged.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Waits until the subscriber has seen all of `written`, or nothing new for `grace`; answers how
/// many it has not seen.
async fn catch_up(
    written: &[(u64, Instant)],
    sightings: &Sightings,
    grace: Duration,
    follower: &mut JoinHandle<Result<()>>,
) -> Result<usize> {
    let limit = Instant::now() + CATCH_UP_LIMIT;
    let (mut count, mut changed) = (sightings.count(), Instant::now());
    loop {
        let unseen = written.iter().filter(|(number, _)| sightings.first(*number).is_none());
        let unseen = unseen.count();
        if unseen == 0 || changed.elapsed() > grace {
            return Ok(unseen);
        }
        if Instant::now() > limit {
            bail!("the subscriber lags by {unseen} of {} events", written.len());
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            ended = &mut *follower => {
                ended.context("the subscriber panicked")??;
                return Err(anyhow!("the subscriber ended by itself"));
            }
        }
        if sightings.count() != count {
            (count, changed) = (sightings.count(), Instant::now());
        }
    }
}

fn delays(written: &[(u64, Instant)], sightings: &Sightings) -> impl Iterator<Item = Duration> {
    written.iter().filter_map(|(number, acknowledged)| {
        sightings.first(*number).map(|seen| seen.saturating_duration_since(*acknowledged))
    })
}
