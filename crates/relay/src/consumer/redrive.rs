//! Tries what is held again, as long as this copy works.

use std::sync::Arc;
use std::time::Duration;

use eventstore::answer::within;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use tokio::time::{sleep, timeout};

use super::Handler;
use super::worker::{Failure, Worker};
use crate::backoff::Backoff;
use crate::broker::chain;
use crate::dead_letters::{self, Letter};

/// How often it is looked whether something is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many keys are looked up at once.
const KEYS: u16 = 256;

/// Redrives what is due, for ever.
pub(super) async fn redrive<H: Handler>(worker: Arc<Worker<H>>) {
    let mut backoff = Backoff::default();
    loop {
        match redrive_due(&worker).await {
            Ok(()) => {
                backoff.reset();
                // Woken by what this copy holds; others and operators are noticed by looking.
                let _ = timeout(LOOK_EVERY, worker.held.notified()).await;
            }
            Err(error) => {
                tracing::warn!(consumer.name = %worker.config.name, error = %chain(&error), "could not look after dead letters");
                sleep(backoff.next()).await;
            }
        }
    }
}

async fn redrive_due<H: Handler>(worker: &Arc<Worker<H>>) -> Result<(), sqlx::Error> {
    let due = dead_letters::due_keys(&worker.pool, &worker.config.name, KEYS);
    let keys = within(due).await?;
    let lanes = usize::from(worker.config.parallel.get());
    let keys = keys.into_iter().map(|key| redrive_key(Arc::clone(worker), key).boxed());
    stream::iter(keys).buffer_unordered(lanes).try_collect().await
}

/// Drives the letters of `key`, the first of which is due, until none is left or one fails.
async fn redrive_key<H: Handler>(worker: Arc<Worker<H>>, key: String) -> Result<(), sqlx::Error> {
    let (pool, consumer) = (&worker.pool, worker.config.name.as_str());
    // As long as an attempt may take: if the process ends, the next one finds it due then.
    let pause_s = worker.config.handler_limit.as_secs_f64() + 1.0;
    let mut run = None;
    loop {
        let letters = within(dead_letters::begin(pool, consumer, &key, run, pause_s)).await?;
        let Some(first) = letters.first() else { return Ok(()) };
        let allowed = i32::try_from(worker.config.retries.attempts).unwrap_or(i32::MAX);
        let outcome = if first.attempts > allowed {
            Err(Failure::Refused(
                "the process ended at each attempt since the last answer".to_owned(),
            ))
        } else {
            worker.redrive(&letters).await
        };
        match outcome {
            Ok(()) => run = None,
            // Which one it is shows when they are tried one by one.
            Err(_) if letters.len() > 1 => {
                within(dead_letters::returned(pool, &letters)).await?;
                run = Some(1);
            }
            Err(failure) => return give_up(&worker, first, failure).await,
        }
    }
}

async fn give_up<H: Handler>(
    worker: &Worker<H>,
    letter: &Letter,
    failure: Failure,
) -> Result<(), sqlx::Error> {
    let retries = worker.config.retries;
    let attempts = u32::try_from(letter.attempts).unwrap_or(u32::MAX);
    let (error, again_after) = match failure {
        // Neither is the fault of the message: the attempt does not make it dead.
        failure @ (Failure::Unavailable(_) | Failure::Conflict) => {
            (failure.into_text(), Some(retries.wait_after(attempts)))
        }
        Failure::Failed(error) if attempts < retries.attempts => {
            (error, Some(retries.wait_after(attempts)))
        }
        Failure::Failed(error) | Failure::Refused(error) => (error, None),
    };
    if again_after.is_none() {
        worker.reporter.died(letter, &error);
    }
    let again_after_s = again_after.map(|wait| wait.as_secs_f64());
    within(dead_letters::failed(&worker.pool, letter, &error, again_after_s)).await
}
