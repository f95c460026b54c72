//! `projection`: a read model in PostgreSQL is made from a log that is there already, by whatever
//! the peer has for that, with a checkpoint that survives the process.
//!
//! Each order is two events that were stored together, so half of them insert a row and half of
//! them change one that is new. Measured is the time from the start of the peer's listener until
//! all of it is seen in the table from outside. Before that counts, the table must be right and the
//! checkpoint at the end of the log.
//!
//! No peer has a transaction for the handler that is also that of the checkpoint, nor gives a
//! handler more than one event at a time, so each event is a transaction of its own and waits for
//! the disk. With `--asynchronous` no commit does. That is as safe here: what is written first is
//! durable first, so that the checkpoint is never ahead of the rows.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::preload;
use crate::args::Projection;
use crate::orders_view::OrdersView;
use crate::peer::Projector;
use crate::report::{Measured, rate};
use crate::scratch::Scratch;

const EVENTS_OF_AN_ORDER: u64 = 2;
/// How long the log rests before: a peer may hold back what is younger than a second.
const REST: Duration = Duration::from_millis(1_500);
/// How often is looked at the table at most and at least.
const LOOK: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(500));
/// Who confirms no order for so long will not confirm any more.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn run<P: Projector>(scratch: &Scratch, run: &Projection) -> Result<Measured> {
    let (settings, events) = (run.server.settings, u64::from(run.events));
    ensure!(events.is_multiple_of(EVENTS_OF_AN_ORDER), "half of an order cannot be confirmed");
    ensure!(settings.connections > 1, "the listener and its handlers take two connections");
    if run.asynchronous {
        scratch.set("synchronous_commit", "off").await?;
    }
    let peer = P::open(scratch, settings).await?;
    let store = async |batch: &_| peer.preload(batch).await;
    preload::store(Uuid::now_v7, scratch, events, EVENTS_OF_AN_ORDER, store).await?;
    tokio::time::sleep(REST).await;
    let mut view = OrdersView::create(scratch).await?;

    let (stop, stopped) = oneshot::channel();
    let start = Instant::now();
    let projecting = peer.clone();
    let mut listener = tokio::spawn(async move { projecting.project(stopped).await });
    completed(&mut view, start, events / EVENTS_OF_AN_ORDER, &mut listener).await?;
    let elapsed = start.elapsed();

    at_the_end(&peer, &mut listener).await?;
    let _ = stop.send(());
    listener.await.context("the listener panicked")??;
    view.verify(events).await?;
    Ok(Measured {
        rate_per_s: Some(rate(usize::try_from(events)?, elapsed)),
        events: Some(events),
        asynchronous: run.asynchronous.then_some(true),
        ..Measured::default()
    })
}

/// Waits until all `orders` are confirmed. Counting takes from the machine what the peer could
/// use, so it is done rarely, and more often only towards the end.
async fn completed(
    view: &mut OrdersView,
    start: Instant,
    orders: u64,
    listener: &mut JoinHandle<Result<()>>,
) -> Result<()> {
    let (mut last, mut changed) = (0, start);
    loop {
        let confirmed = view.confirmed().await?;
        if confirmed == orders {
            return Ok(());
        }
        if confirmed != last {
            (last, changed) = (confirmed, Instant::now());
        }
        ensure!(changed.elapsed() < PATIENCE, "it stands at {confirmed} of {orders} orders");
        pause(until_next_look(start.elapsed(), confirmed, orders), listener).await?;
    }
}

/// Half of the time that the rest will take if it goes on like this.
fn until_next_look(elapsed: Duration, confirmed: u64, orders: u64) -> Duration {
    let (at_most, at_least) = (LOOK.0, LOOK.1);
    let elapsed = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    let rest = elapsed.saturating_mul(orders.saturating_sub(confirmed)) / confirmed.max(1);
    let begun = if confirmed == 0 { Duration::ZERO } else { Duration::from_micros(rest / 2) };
    begun.clamp(at_most, at_least)
}

/// Waits until the checkpoint has come to the end of the log.
async fn at_the_end<P: Projector>(peer: &P, listener: &mut JoinHandle<Result<()>>) -> Result<()> {
    let limit = Instant::now() + PATIENCE;
    while !peer.is_at_the_end().await? {
        ensure!(Instant::now() < limit, "all is applied, but the checkpoint does not say so");
        pause(LOOK.0, listener).await?;
    }
    Ok(())
}

/// Sleeps, unless the listener ends by itself, which it must not.
async fn pause(duration: Duration, listener: &mut JoinHandle<Result<()>>) -> Result<()> {
    tokio::select! {
        () = tokio::time::sleep(duration) => Ok(()),
        ended = listener => {
            ended.context("the listener panicked")??;
            bail!("the listener ended by itself")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_come_closer_to_each_other() {
        let after_a_second = |confirmed| until_next_look(Duration::from_secs(1), confirmed, 1_000);
        assert_eq!(after_a_second(0), LOOK.0);
        assert_eq!(after_a_second(100), LOOK.1);
        assert_eq!(after_a_second(800), Duration::from_millis(125));
        assert_eq!(after_a_second(999), LOOK.0);
    }
}
