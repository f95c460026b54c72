//! Group commit: one connection of this process writes for all its callers.
//!
//! There is no timer. The next batch is whatever arrived while the last one was in flight, so an
//! idle store appends at the latency of one append and a busy one shares each commit among many.
//! Every caller gets an outcome of its own; a batch the database refuses is halved until one bad
//! append fails alone.
//!
//! A caller that goes away (its future is dropped) changes nothing: what it asked for is in the
//! queue and is appended or refused like any other.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::batch::Batch;
use super::{Append, AppendError, ExpectedVersion, Receipt, receipt, statement};
use crate::answer::within;
use crate::partitions::Partitions;
use crate::{EventType, StreamId, StreamVersion};

/// Callers that wait for room beyond the batch in flight; more of them wait to enter the queue.
const QUEUE: usize = 1024;

/// Most appends of one call.
const MAX_BATCH: usize = 500;

/// How long the writer keeps its connection when there is nothing to write. The server may go away
/// unseen meanwhile, so the pool looks at it before it is used again.
const IDLE: Duration = Duration::from_secs(1);

/// An append and who waits for it.
pub(super) struct Request {
    pub(super) append: Append,
    answer: oneshot::Sender<Result<Receipt, AppendError>>,
}

/// The way into the queue; the writer ends when the last one is dropped and the queue is empty.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Request>,
}

impl Writer {
    /// Starts the writing task on the current runtime.
    pub(crate) fn start(pool: PgPool, partitions: Partitions) -> Self {
        let (queue, requests) = mpsc::channel(QUEUE);
        tokio::spawn(run(pool, partitions, requests));
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

async fn run(pool: PgPool, mut partitions: Partitions, mut requests: mpsc::Receiver<Request>) {
    let mut line = Line { pool, held: None, known: HashSet::new() };
    let mut waiting = Vec::new();
    loop {
        if waiting.is_empty() {
            let more = requests.recv_many(&mut waiting, MAX_BATCH);
            match timeout(IDLE, more).await {
                Ok(0) => return,
                Ok(_) => {}
                Err(_) => {
                    line.held = None;
                    if requests.recv_many(&mut waiting, MAX_BATCH).await == 0 {
                        return;
                    }
                }
            }
        }
        while waiting.len() < MAX_BATCH
            && let Ok(request) = requests.try_recv()
        {
            waiting.push(request);
        }
        let batch = Batch::take_from(&mut waiting);
        let mut reached = Reached::default();
        write(&mut line, batch, &mut reached).await;
        partitions.keep_ahead_of(reached.position);
        if !waiting.is_empty() {
            refuse_stale(&mut line, &mut waiting, &reached).await;
        }
    }
}

/// The connection of the writer. It is kept while there is work: the pool would hand out another
/// one each time, which has not planned the statement yet, and ask it whether it is alive.
struct Line {
    pool: PgPool,
    held: Option<PoolConnection<Postgres>>,
    /// The types that the log is known to hold.
    known: HashSet<EventType>,
}

impl Line {
    fn learn(&mut self, append: &Append, receipt: &Receipt) {
        for event in append.events.iter().filter(|_| !receipt.repeated) {
            if !self.known.contains(&event.event_type) {
                self.known.insert(event.event_type.clone());
            }
        }
    }

    /// Does `work` on the connection; one whose state is not known afterwards is not used again.
    async fn ask<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, AppendError> {
        let unavailable = |error| AppendError::Unavailable { source: Arc::new(error) };
        let mut connection = match self.held.take() {
            Some(connection) => connection,
            None => self.pool.acquire().await.map_err(unavailable)?,
        };
        let answer = within(work(&mut connection)).await.map_err(classify);
        if matches!(answer, Err(AppendError::Unconfirmed { .. })) {
            connection.close_on_drop();
        } else {
            self.held = Some(connection);
        }
        answer
    }
}

/// How far a batch has brought the log and its streams.
#[derive(Default)]
struct Reached {
    position: crate::Position,
    streams: HashMap<StreamId, StreamVersion>,
}

impl Reached {
    fn add(&mut self, receipt: &Receipt) {
        if !receipt.repeated {
            self.position = self.position.max(receipt.position);
            self.streams.extend(receipt.streams.iter().cloned());
        }
    }

    /// The conflict that `append` cannot escape, because its stream has gone on.
    fn conflict(&self, append: &Append) -> Option<AppendError> {
        append.expectations.iter().find_map(|(stream, expected)| {
            let actual = *self.streams.get(stream)?;
            let is_stale = matches!(expected, ExpectedVersion::Exact(version) if *version < actual);
            is_stale.then(|| AppendError::Conflict { stream: stream.clone(), actual })
        })
    }
}

async fn write(line: &mut Line, batch: Vec<Request>, reached: &mut Reached) {
    let appends: Vec<_> = batch.iter().map(|request| &request.append).collect();
    let known = std::mem::take(&mut line.known);
    let ask = async |connection: &mut PgConnection| {
        statement::append_batch(connection, &appends, &known).await
    };
    let called = line.ask(ask).await;
    line.known = known;
    match called {
        Ok(outcomes) => {
            for (request, outcome) in batch.into_iter().zip(outcomes) {
                if let Ok(receipt) = &outcome {
                    reached.add(receipt);
                    line.learn(&request.append, receipt);
                }
                reply(request, outcome);
            }
        }
        Err(AppendError::Refused { source }) if batch.len() > 1 && is_of_one_row(&source) => {
            let mut first = batch;
            let second = first.split_off(first.len() / 2);
            Box::pin(write(line, first, reached)).await;
            Box::pin(write(line, second, reached)).await;
        }
        Err(error) => {
            for request in batch {
                reply(request, Err(error.clone()));
            }
        }
    }
}

/// Answers those who wait in vain, all at once: on a stream that many write, each would take a call
/// of its own else. A command that took effect before is left to get its receipt.
async fn refuse_stale(line: &mut Line, waiting: &mut Vec<Request>, reached: &Reached) {
    let stale: Vec<_> = waiting
        .iter()
        .filter(|request| reached.conflict(&request.append).is_some())
        .map(|request| request.append.command_id)
        .collect();
    if stale.is_empty() {
        return;
    }
    let known = line.ask(async |connection| receipt::known(connection, &stale).await).await;
    // Not to know is no harm: they are refused one by one.
    let Ok(known) = known else { return };
    let mut left = Vec::with_capacity(waiting.len());
    for request in waiting.drain(..) {
        match reached.conflict(&request.append) {
            Some(conflict) if !known.contains(&request.append.command_id) => {
                reply(request, Err(conflict));
            }
            _ => left.push(request),
        }
    }
    *waiting = left;
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

/// Whether what was refused is something that one append brought, not the state of the server:
/// data, constraints, and limits of the program (SQLSTATE classes 22, 23 and 54).
fn is_of_one_row(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
}

fn reply(request: Request, outcome: Result<Receipt, AppendError>) {
    // A caller that went away no longer wants to know.
    let _ = request.answer.send(outcome);
}
