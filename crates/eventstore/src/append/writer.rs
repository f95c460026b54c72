//! Group commit: callers of this process share calls of the database.
//!
//! There is no timer. The next batch is whatever arrived while the last one was in flight, so an
//! idle store appends at the latency of one append and a busy one shares each commit among many.
//! Every caller gets an outcome of its own; a batch the database refuses is halved until one bad
//! append fails alone.
//!
//! A very busy store writes on two connections in turn: while one batch holds the order lock, the
//! next one is already at the database, so that no time goes by between them. With fewer callers
//! that would only make the batches smaller.
//!
//! A caller that goes away (its future is dropped) changes nothing: what it asked for is in the
//! queue and is appended or refused like any other.

use std::any::Any;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};

use super::batch::Batch;
use super::line::{Line, Reached};
use super::span::AppendSpan;
use super::{Append, AppendError, Receipt};
use crate::partitions::Partitions;

/// Callers that wait for room beyond the batches in flight; more of them wait to enter the queue.
const QUEUE: usize = 1024;

/// Most appends of one call.
const MAX_BATCH: usize = 500;

/// A batch of this size is worth a second one beside it.
const LARGE: usize = 32;

/// How often others may run before the next batch is made.
const PATIENCE: usize = 32;

/// How long connections are kept when there is nothing to write. The server may go away unseen
/// meanwhile, so the pool looks at them before they are used again.
const IDLE: Duration = Duration::from_secs(1);

/// An append and who waits for it.
pub(super) struct Request {
    pub(super) append: Append,
    pub(super) span: AppendSpan,
    answer: oneshot::Sender<Result<Receipt, AppendError>>,
}

impl Request {
    pub(super) fn reply(self, outcome: Result<Receipt, AppendError>) {
        self.span.end(&outcome);
        // A caller that went away no longer wants to know.
        let _ = self.answer.send(outcome);
    }
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
        let coordinator = Coordinator {
            pool: pool.clone(),
            requests,
            is_closed: false,
            waiting: Vec::new(),
            lines: vec![Line::to(pool.clone()), Line::to(pool)],
            in_flight: FuturesUnordered::new(),
            youngest: Batch::default(),
            partitions,
        };
        tokio::spawn(coordinator.run());
        Self { queue }
    }

    pub(crate) async fn append(&self, mut append: Append) -> Result<Receipt, AppendError> {
        append.check()?;
        let (answer, outcome) = oneshot::channel();
        let span = AppendSpan::begin(&mut append);
        let request = Request { append, span, answer };
        self.queue.send(request).await.map_err(|_| AppendError::Closed)?;
        // The writer ended with it in hand, as when its runtime does.
        outcome.await.unwrap_or_else(|_| Err(AppendError::Unconfirmed { source: gone() }))
    }
}

/// A line and how far it came, unless its code panicked.
type Written = Result<(Line, Reached), Box<dyn Any + Send>>;

fn gone() -> Arc<sqlx::Error> {
    let gone = io::Error::new(io::ErrorKind::BrokenPipe, "the writer ended");
    Arc::new(sqlx::Error::Io(gone))
}

/// Makes batches of what waits, and sends them.
struct Coordinator {
    pool: PgPool,
    requests: mpsc::Receiver<Request>,
    is_closed: bool,
    waiting: Vec<Request>,
    /// Those that are not writing; the last one was used last.
    lines: Vec<Line>,
    /// Polled by this task: to wake another one for each batch would take longer than its answers.
    in_flight: FuturesUnordered<BoxFuture<'static, Written>>,
    /// What the batch that was sent last names and writes, if it is in flight.
    youngest: Batch,
    partitions: Partitions,
}

impl Coordinator {
    async fn run(mut self) {
        loop {
            while self.waiting.len() < MAX_BATCH
                && let Ok(request) = self.requests.try_recv()
            {
                self.waiting.push(request);
            }
            if self.is_worth_a_batch() && self.send() {
                continue;
            }
            if self.is_closed && self.waiting.is_empty() && self.in_flight.is_empty() {
                return;
            }
            // Whoever arrives while a small batch is in flight need not wake anybody.
            let is_listening = !self.is_closed
                && self.waiting.len() < MAX_BATCH
                && (self.in_flight.is_empty() || self.is_overlapping());
            tokio::select! {
                biased;
                Some(written) = self.in_flight.next() => {
                    if let Ok((line, reached)) = written {
                        self.finish(line, reached).await;
                    } else {
                        // Who waits for it is told so.
                        tracing::error!("a batch was not written to its end");
                        self.lines.push(Line::to(self.pool.clone()));
                    }
                }
                taken = self.requests.recv_many(&mut self.waiting, MAX_BATCH), if is_listening => {
                    self.is_closed = taken == 0;
                }
                () = tokio::time::sleep(IDLE), if self.in_flight.is_empty() => {
                    self.lines.iter_mut().for_each(Line::give_back);
                    let taken = self.requests.recv_many(&mut self.waiting, MAX_BATCH).await;
                    self.is_closed = taken == 0;
                }
            }
        }
    }

    /// Whether a second batch may be sent beside the one in flight.
    fn is_overlapping(&self) -> bool {
        !self.lines.is_empty() && self.youngest.len() >= LARGE
    }

    fn is_worth_a_batch(&self) -> bool {
        let waiting = self.waiting.len();
        if self.in_flight.is_empty() {
            waiting > 0
        } else {
            self.is_overlapping() && waiting >= self.youngest.len() / 2
        }
    }

    /// Sends a batch of what waits; `false` if nothing of it may go yet.
    fn send(&mut self) -> bool {
        let before = if self.in_flight.is_empty() { None } else { Some(&self.youngest) };
        let waiting = self.waiting.len();
        let share = before.is_none() && waiting >= 2 * LARGE;
        let most = if share { waiting / 2 } else { MAX_BATCH };
        let (batch, requests) = Batch::take_from(&mut self.waiting, most, before);
        if requests.is_empty() {
            return false;
        }
        let Some(line) = self.lines.pop() else { return false };
        self.youngest = batch;
        self.in_flight.push(AssertUnwindSafe(line.write(requests)).catch_unwind().boxed());
        true
    }

    async fn finish(&mut self, mut line: Line, reached: Reached) {
        self.partitions.keep_ahead_of(reached.position);
        // Those who were just answered may have more to ask: better in the next batch than after it.
        for _ in 0..PATIENCE {
            if self.waiting.len() + self.requests.len() >= reached.answered {
                break;
            }
            tokio::task::yield_now().await;
        }
        if !self.waiting.is_empty() {
            line.refuse_stale(&mut self.waiting, &reached).await;
        }
        self.lines.push(line);
        if self.in_flight.is_empty() {
            self.youngest = Batch::default();
        }
    }
}
