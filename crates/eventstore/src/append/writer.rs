//! Group commit: one connection of this process writes for all its callers.
//!
//! There is no timer. The next batch is whatever arrived while the last one was in flight, so an
//! idle store appends at the latency of one append and a busy one shares each commit among many.
//! Every caller gets an outcome of its own; a batch the database refuses is repeated one by one,
//! so that one bad append fails alone.
//!
//! A caller that goes away (its future is dropped) changes nothing: what it asked for is in the
//! queue and is appended or refused like any other.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::{PgConnection, PgPool};
use tokio::sync::{mpsc, oneshot};

use super::{Append, AppendError, Receipt, statement};
use crate::answer::within;
use crate::{CommandId, StreamId};

/// Callers that wait for room beyond the batch in flight; more of them wait to enter the queue.
const QUEUE: usize = 1024;

/// Most appends of one call.
const MAX_BATCH: usize = 500;

/// An append and who waits for it.
pub(crate) struct Request {
    append: Append,
    answer: oneshot::Sender<Result<Receipt, AppendError>>,
}

/// The way into the queue; the writer ends when the last one is dropped and the queue is empty.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Request>,
}

impl Writer {
    /// Starts the writing task on the current runtime.
    pub(crate) fn start(pool: PgPool) -> Self {
        let (queue, requests) = mpsc::channel(QUEUE);
        tokio::spawn(run(pool, requests));
        Self { queue }
    }

    pub(crate) async fn append(&self, append: Append) -> Result<Receipt, AppendError> {
        append.check()?;
        let (answer, outcome) = oneshot::channel();
        let request = Request { append, answer };
        self.queue.send(request).await.map_err(|_| AppendError::Closed)?;
        outcome.await.unwrap_or(Err(AppendError::Closed))
    }
}

async fn run(pool: PgPool, mut requests: mpsc::Receiver<Request>) {
    let mut waiting = Vec::new();
    loop {
        if waiting.is_empty() && requests.recv_many(&mut waiting, MAX_BATCH).await == 0 {
            return;
        }
        while waiting.len() < MAX_BATCH
            && let Ok(request) = requests.try_recv()
        {
            waiting.push(request);
        }
        let batch = take_compatible(&mut waiting);
        write(&pool, batch).await;
    }
}

/// Takes the requests that may share a call and leaves the others, both in their order.
///
/// A stream that one request writes is named by no other, and no command id comes twice. What a
/// request left behind names is left to it, so that requests on one stream keep their order.
fn take_compatible(waiting: &mut Vec<Request>) -> Vec<Request> {
    let mut named: HashSet<StreamId> = HashSet::new();
    let mut written: HashSet<StreamId> = HashSet::new();
    let mut commands: HashSet<CommandId> = HashSet::new();
    let mut batch = Vec::with_capacity(waiting.len());
    let mut left = Vec::new();
    for request in waiting.drain(..) {
        let Append { expectations, events, .. } = &request.append;
        let free = expectations.iter().all(|(stream, _)| !written.contains(stream))
            && events.iter().all(|event| !named.contains(&event.stream));
        named.extend(expectations.iter().map(|(stream, _)| stream.clone()));
        written.extend(events.iter().map(|event| event.stream.clone()));
        if commands.insert(request.append.command_id) && free {
            batch.push(request);
        } else {
            left.push(request);
        }
    }
    *waiting = left;
    batch
}

async fn write(pool: &PgPool, batch: Vec<Request>) {
    let mut connection = match pool.acquire().await {
        Ok(connection) => connection,
        Err(error) => {
            let source = Arc::new(error);
            for request in batch {
                reply(request, Err(AppendError::Unavailable { source: Arc::clone(&source) }));
            }
            return;
        }
    };
    let called = call(&mut connection, &batch).await;
    if matches!(called, Err(AppendError::Unconfirmed { .. })) {
        // Whatever is wrong with it, nobody shall use it again.
        connection.close_on_drop();
    }
    drop(connection);
    match called {
        Ok(outcomes) => {
            for (request, outcome) in batch.into_iter().zip(outcomes) {
                reply(request, outcome);
            }
        }
        Err(AppendError::Refused { .. }) if batch.len() > 1 => {
            for request in batch {
                Box::pin(write(pool, vec![request])).await;
            }
        }
        Err(error) => {
            for request in batch {
                reply(request, Err(error.clone()));
            }
        }
    }
}

async fn call(
    connection: &mut PgConnection,
    batch: &[Request],
) -> Result<Vec<Result<Receipt, AppendError>>, AppendError> {
    let appends: Vec<_> = batch.iter().map(|request| &request.append).collect();
    within(statement::append_batch(connection, &appends)).await.map_err(classify)
}

/// An answer of the database means that nothing was written; anything else may mean both.
fn classify(error: sqlx::Error) -> AppendError {
    let source = Arc::new(error);
    let shutting_down = |code: &str| code.starts_with("57P") || code.starts_with("08");
    match source.as_database_error() {
        Some(error) if !error.code().as_deref().is_some_and(shutting_down) => {
            AppendError::Refused { source }
        }
        _ => AppendError::Unconfirmed { source },
    }
}

fn reply(request: Request, outcome: Result<Receipt, AppendError>) {
    // A caller that went away no longer wants to know.
    let _ = request.answer.send(outcome);
}
