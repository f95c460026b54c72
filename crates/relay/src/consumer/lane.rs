//! One of the lanes in which messages take effect side by side: takes whatever waits, settles it,
//! and goes on; the broker is told beside it.

use std::ops::Range;
use std::sync::Arc;

use tokio::sync::mpsc::{Receiver, UnboundedSender};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::delivery::{Delivery, Reply, Suspicion};
use super::suspects;
use super::worker::{Failure, Worker};
use super::{ConsumerStatus, Handler};
use crate::backoff::Backoff;
use crate::broker::chain;
use crate::dead_letters::Cause;

/// How often a conflict is retried at once before it counts as a failure.
const CONFLICTS: u32 = 10;

/// One lane.
pub(super) struct Lane<H> {
    pub(super) worker: Arc<Worker<H>>,
    /// Where it says what the broker may be told.
    pub(super) settled: UnboundedSender<Vec<Reply>>,
    pub(super) stop: CancellationToken,
}

/// What became of a range of messages.
enum Settled {
    Done,
    /// One of several fails.
    Divide,
    /// The consumer was stopped while it could not go on.
    Stopped,
}

impl<H: Handler> Lane<H> {
    /// Settles everything that comes, until nothing more can come.
    pub(super) async fn run(self, mut deliveries: Receiver<Delivery>) {
        let most = usize::from(self.worker.config.batch.get());
        let mut next = None;
        loop {
            let Some(first) = (match next.take() {
                Some(first) => Some(first),
                None => deliveries.recv().await,
            }) else {
                return;
            };
            let mut batch = vec![first];
            while batch.len() < most && batch[0].suspicion == Suspicion::None {
                match deliveries.try_recv() {
                    Ok(suspect) if suspect.suspicion != Suspicion::None => {
                        next = Some(suspect);
                        break;
                    }
                    Ok(delivery) => batch.push(delivery),
                    Err(_) => break,
                }
            }
            if !self.settle(&batch).await {
                return;
            }
            let replies = batch.into_iter().filter_map(|delivery| delivery.reply).collect();
            if self.settled.send(replies).is_err() {
                return;
            }
        }
    }

    /// Brings all of `batch` to an end; `false` if the consumer was stopped before.
    async fn settle(&self, batch: &[Delivery]) -> bool {
        let mut ranges: Vec<Range<usize>> = readable_runs(batch);
        while let Some(range) = ranges.pop() {
            match self.settle_run(&batch[range.clone()]).await {
                Settled::Done => {}
                Settled::Divide => {
                    let middle = usize::midpoint(range.start, range.end);
                    ranges.extend([middle..range.end, range.start..middle]);
                }
                Settled::Stopped => return false,
            }
        }
        true
    }

    async fn settle_run(&self, run: &[Delivery]) -> Settled {
        let (mut conflicts, mut backoff) = (0, Backoff::default());
        loop {
            let settled = match self.attempt(run).await {
                Ok(()) => Ok(()),
                Err(Failure::Conflict) if conflicts < CONFLICTS => {
                    conflicts += 1;
                    continue;
                }
                Err(failure @ Failure::Unavailable(_)) => Err(failure),
                Err(failure) => match run {
                    [only] => self.worker.hold(only, self.cause(only, failure)).await,
                    _ => return Settled::Divide,
                },
            };
            let error = match settled {
                Ok(()) => {
                    self.worker.reporter.report(ConsumerStatus::Consuming);
                    return Settled::Done;
                }
                Err(failure) => failure.into_text(),
            };
            self.worker.reporter.report(ConsumerStatus::Stalled { error });
            if self.stop.run_until_cancelled(sleep(backoff.next())).await.is_none() {
                return Settled::Stopped;
            }
        }
    }

    /// Why `delivery` is held.
    fn cause(&self, delivery: &Delivery, failure: Failure) -> Cause {
        let attempts = match delivery.suspicion {
            Suspicion::Hopeless(times) => times,
            Suspicion::Alone | Suspicion::None => 1,
        };
        let retries = self.worker.config.retries;
        let is_hopeless = matches!(failure, Failure::Refused(_)) || retries.attempts <= 1;
        let error = failure.into_text();
        if is_hopeless {
            return Cause::Hopeless { error, attempts };
        }
        Cause::Failed { error, again_after_s: retries.wait_after(1).as_secs_f64() }
    }

    async fn attempt(&self, run: &[Delivery]) -> Result<(), Failure> {
        if let [only] = run {
            match (&only.message, only.suspicion) {
                (Err(error), _) => return Err(Failure::Refused(chain(error))),
                (_, Suspicion::Hopeless(times)) => {
                    return Err(Failure::Refused(format!(
                        "{times} processes ended while this message was in hand, the last one \
                         while it was alone"
                    )));
                }
                (_, Suspicion::Alone) => suspects::count(&self.worker, only).await?,
                (_, Suspicion::None) => {}
            }
        }
        self.worker.take_effect(run).await
    }
}

/// What can be read, in runs, and what cannot, alone; the first of them last.
fn readable_runs(batch: &[Delivery]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, delivery) in batch.iter().enumerate() {
        match runs.last_mut() {
            Some(run) if delivery.message.is_ok() && batch[run.start].message.is_ok() => {
                run.end = at + 1;
            }
            _ => runs.push(at..at + 1),
        }
    }
    runs.reverse();
    runs
}
