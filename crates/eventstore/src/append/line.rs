//! One connection, and what goes over it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};

use super::writer::Request;
use super::{Append, AppendError, ExpectedVersion, Receipt, receipt, statement};
use crate::answer::within;
use crate::{CommandId, EventType, Position, StreamId, StreamVersion};

/// A connection to write on. It is kept while there is work: the pool would hand out another one
/// each time, which has not planned the statement yet, and ask it whether it is alive.
pub(super) struct Line {
    pool: PgPool,
    held: Option<PoolConnection<Postgres>>,
    /// The types that the log is known to hold.
    known: HashSet<EventType>,
}

/// How far a batch has brought the log and its streams.
#[derive(Default)]
pub(super) struct Reached {
    pub(super) position: Position,
    /// How many callers were answered.
    pub(super) answered: usize,
    streams: HashMap<StreamId, StreamVersion>,
}

impl Line {
    pub(super) fn to(pool: PgPool) -> Self {
        Self { pool, held: None, known: HashSet::new() }
    }

    /// Gives the connection back to the pool.
    pub(super) fn give_back(&mut self) {
        self.held = None;
    }

    /// Writes `batch` and answers everybody in it.
    pub(super) async fn write(mut self, batch: Vec<Request>) -> (Self, Reached) {
        let mut reached = Reached { answered: batch.len(), ..Reached::default() };
        // What the database refuses as a whole is halved until the one that is bad is alone.
        let mut left = vec![batch];
        while let Some(mut batch) = left.pop() {
            let size = batch.len();
            for request in &mut batch {
                request.span.sent(size);
            }
            let appends: Vec<_> = batch.iter().map(|request| &request.append).collect();
            let known = std::mem::take(&mut self.known);
            let append = async |connection: &mut PgConnection| {
                statement::append_batch(connection, &appends, &known).await
            };
            let answer = self.ask(append).await;
            self.known = known;
            match answer {
                Ok(outcomes) => {
                    let mut repeated = Vec::new();
                    for (request, outcome) in batch.into_iter().zip(outcomes) {
                        match &outcome {
                            Ok(receipt) if receipt.repeated => {
                                repeated.push(request);
                                continue;
                            }
                            Ok(receipt) => {
                                reached.add(receipt);
                                self.learn(&request.append);
                            }
                            Err(_) => {}
                        }
                        request.reply(outcome);
                    }
                    for request in repeated {
                        let outcome = self.receipt_of(request.append.command_id).await;
                        request.reply(outcome);
                    }
                }
                Err(AppendError::Refused { source }) if batch.len() > 1 && is_of_one(&source) => {
                    let second = batch.split_off(batch.len() / 2);
                    left.extend([second, batch]);
                }
                Err(error) => {
                    for request in batch {
                        request.reply(Err(error.clone()));
                    }
                }
            }
        }
        (self, reached)
    }

    /// Answers those who wait in vain, all at once: on a stream that many write, each would take a
    /// call of its own else. A command that took effect before is left to get its receipt.
    pub(super) async fn refuse_stale(&mut self, waiting: &mut Vec<Request>, reached: &Reached) {
        let stale = |request: &&Request| reached.conflict(&request.append).is_some();
        let stale: Vec<_> =
            waiting.iter().filter(stale).map(|request| request.append.command_id).collect();
        if stale.is_empty() {
            return;
        }
        let known = self.ask(async |connection| receipt::known(connection, &stale).await).await;
        // Not to know is no harm: they are refused one by one.
        let Ok(known) = known else { return };
        let mut left = Vec::with_capacity(waiting.len());
        for request in waiting.drain(..) {
            match reached.conflict(&request.append) {
                Some(conflict) if !known.contains(&request.append.command_id) => {
                    request.reply(Err(conflict));
                }
                _ => left.push(request),
            }
        }
        *waiting = left;
    }

    /// The receipt of a command that took effect before. Whatever happens now, nothing was written.
    async fn receipt_of(&mut self, id: CommandId) -> Result<Receipt, AppendError> {
        let known = self.ask(async |connection| receipt::find(connection, id).await).await;
        known
            .map_err(|error| match error {
                AppendError::Refused { source } | AppendError::Unconfirmed { source } => {
                    AppendError::Unavailable { source }
                }
                error => error,
            })?
            .ok_or_else(AppendError::no_outcome)
    }

    fn learn(&mut self, append: &Append) {
        for event in &append.events {
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

impl Reached {
    fn add(&mut self, receipt: &Receipt) {
        self.position = self.position.max(receipt.position);
        self.streams.extend(receipt.streams.iter().cloned());
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
fn is_of_one(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| ["22", "23", "54"].iter().any(|class| code.starts_with(class)))
}
