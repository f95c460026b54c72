//! How a batch of events takes effect on one generation of a read model.
//!
//! One transaction moves the slots, sets aside what belongs to parked keys, and hands the rest to the
//! read model: rows and places commit together (law 7). It does not wait for the disk: what a crash
//! of the server takes, it takes of both, and it is done again.
//!
//! Not here: when to try again ([`crate::attempts`]).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use eventstore::{Position, RecordedEvent, answer};
use futures_util::FutureExt as _;
use sqlx::{AssertSqlSafe, PgConnection, Postgres, Transaction};

use crate::attempts::Attempts;
use crate::parking::{self, Parked};
use crate::slots::{Held, MoveError, Taken, slot_of};
use crate::span::Applying;
use crate::{Entry, HandlerError, Projection, Source};

/// Takes effect of events on the tables of one schema.
#[derive(Debug, Clone)]
pub(crate) struct Batches {
    pub(crate) source: Source,
    pub(crate) projection: &'static Projection,
    /// `BEGIN`, with what holds for the transaction.
    begin: String,
    /// Whether events that are followed have spans of taking effect.
    is_traced: bool,
}

/// An event of a key.
#[derive(Debug, Clone)]
pub(crate) struct Item<'a> {
    pub(crate) slot: i16,
    pub(crate) key: Cow<'a, str>,
    pub(crate) recorded: &'a RecordedEvent,
}

/// Why a batch had no effect.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    /// The slots are somebody else's, or rest.
    #[error(transparent)]
    Fenced(#[from] Fenced),
    /// One of the events cannot take effect; others could.
    #[error("{0}")]
    Poison(String),
    /// Nothing could take effect: it is not the fault of an event.
    #[error("reach the database")]
    Trouble(#[from] sqlx::Error),
    /// More keys are parked than people could look after.
    #[error(
        "{parked} keys are parked, and no more than {most} may be: see `annals projections show {name}`; the last one failed with: {error}"
    )]
    TooManyParked {
        /// How many.
        parked: i64,
        /// How many may be.
        most: i64,
        /// The read model.
        name: &'static str,
        /// Why one more would be.
        error: String,
    },
}

/// Slots are held no more.
#[derive(Debug, thiserror::Error)]
#[error("the slots of generation {0} are held no more")]
pub(crate) struct Fenced(i64);

impl From<MoveError> for BatchError {
    fn from(error: MoveError) -> Self {
        match error {
            MoveError::Fenced(generation) => Self::Fenced(Fenced(generation)),
            MoveError::Database(source) => Self::Trouble(source),
        }
    }
}

impl From<HandlerError> for BatchError {
    fn from(error: HandlerError) -> Self {
        match error {
            HandlerError::Database(source) if !is_fault_of_an_event(&source) => {
                Self::Trouble(source)
            }
            error => Self::Poison(chain(&error)),
        }
    }
}

impl Batches {
    /// For the tables in `schema`. The server gives a statement up after `longest`, before whoever waits
    /// for it does: nothing goes on there that nobody waits for.
    pub(crate) fn new(
        source: Source,
        projection: &'static Projection,
        schema: &str,
        longest: Duration,
    ) -> Self {
        let longest = longest.as_millis();
        let begin = format!(
            "BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL search_path = {schema}; SET LOCAL statement_timeout = {longest}"
        );
        Self { source, projection, begin, is_traced: false }
    }

    /// Of a live read model: what happens for the first time is part of the trace of its event.
    pub(crate) fn traced(self) -> Self {
        Self { is_traced: true, ..self }
    }

    /// Those of `events` that the read model reads, and of which `held` awaits the effect.
    pub(crate) fn items<'a>(
        &self,
        held: &Held,
        events: impl Iterator<Item = &'a RecordedEvent>,
    ) -> Vec<Item<'a>> {
        events
            .filter(|recorded| self.projection.reads(&recorded.event_type.name))
            .filter_map(|recorded| {
                let key = (self.projection.key)(recorded);
                let slot = slot_of(&key);
                let awaited = held.awaits(slot, recorded.position);
                awaited.then_some(Item { slot, key, recorded })
            })
            .collect()
    }

    /// Takes effect of `items`, and moves the slots to `to`; after enough `attempts` key by key, and
    /// parks what fails alone. Answers whether any key of the slots is parked.
    ///
    /// # Errors
    /// See [`BatchError`]; nothing has changed then.
    pub(crate) async fn take(
        &self,
        held: &Held,
        items: &[Item<'_>],
        to: Position,
        attempts: &Attempts,
    ) -> Result<bool, BatchError> {
        if !attempts.is_poisoned() {
            return self.apply(held, items, to).await;
        }
        for Parked { key, position, error } in self.apply_key_by_key(held, items, to).await? {
            tracing::error!(key, %position, error, "parked a key: its events wait until somebody looks after it");
        }
        Ok(true)
    }

    async fn apply(
        &self,
        held: &Held,
        items: &[Item<'_>],
        to: Position,
    ) -> Result<bool, BatchError> {
        let mut transaction = self.begin().await?;
        let is_parked = held.advance(&mut transaction, to, &taken(items)).await?;
        let free = if is_parked {
            parking::set_aside(&mut transaction, held.generation, items).await?
        } else {
            Cow::Borrowed(items)
        };
        let applying = self.applying(&free);
        self.handle(&mut transaction, &free).await?;
        transaction.commit().await?;
        applying.end(free.iter());
        Ok(is_parked)
    }

    /// Takes effect of `items` key by key; those that cannot are parked with the later ones of their
    /// key. Answers with what was parked.
    async fn apply_key_by_key(
        &self,
        held: &Held,
        items: &[Item<'_>],
        to: Position,
    ) -> Result<Vec<Parked>, BatchError> {
        let mut transaction = self.begin().await?;
        held.advance(&mut transaction, to, &taken(items)).await?;
        let free = parking::set_aside(&mut transaction, held.generation, items).await?;
        let mut keys: BTreeMap<&str, Vec<Item<'_>>> = BTreeMap::new();
        for item in free.iter() {
            keys.entry(&item.key).or_default().push(item.clone());
        }
        let (mut parked, mut applied) = (Vec::new(), Vec::new());
        let applying = self.applying(&free);
        for items in keys.values() {
            let stuck = self.apply_in_order(&mut transaction, items).await?;
            let done = stuck.as_ref().map_or(items.len(), |(done, _)| *done);
            applied.extend(&items[..done]);
            if let Some((done, error)) = stuck {
                parking::park(&mut transaction, held.generation, &items[done..], &error).await?;
                parked.extend(items.get(done).map(|item| Parked::new(item, error)));
            }
        }
        if let Some(last) = parked.last() {
            parking::refuse_too_many(&mut transaction, held.generation, self.projection, last)
                .await?;
        }
        transaction.commit().await?;
        applying.end(applied.into_iter());
        Ok(parked)
    }

    fn applying(&self, items: &[Item<'_>]) -> Applying {
        if self.is_traced { Applying::begin(self.projection, items) } else { Applying::default() }
    }

    /// Takes effect of the events of one key; if one cannot, answers with how many did before it and
    /// why.
    pub(crate) async fn apply_in_order(
        &self,
        connection: &mut PgConnection,
        items: &[Item<'_>],
    ) -> Result<Option<(usize, String)>, BatchError> {
        match self.attempt(&mut *connection, items).await {
            Ok(()) => return Ok(None),
            Err(BatchError::Poison(error)) if items.len() == 1 => return Ok(Some((0, error))),
            Err(BatchError::Poison(_)) => {}
            Err(error) => return Err(error),
        }
        for (done, item) in items.iter().enumerate() {
            match self.attempt(&mut *connection, std::slice::from_ref(item)).await {
                Ok(()) => {}
                Err(BatchError::Poison(error)) => return Ok(Some((done, error))),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Takes effect of `items`, or changes nothing and leaves the transaction usable.
    async fn attempt(
        &self,
        connection: &mut PgConnection,
        items: &[Item<'_>],
    ) -> Result<(), BatchError> {
        sqlx::query("SAVEPOINT attempt").execute(&mut *connection).await?;
        let outcome = self.handle(&mut *connection, items).await;
        let end = match outcome {
            Ok(()) => "RELEASE SAVEPOINT attempt",
            Err(_) => "ROLLBACK TO SAVEPOINT attempt",
        };
        sqlx::query(end).execute(connection).await?;
        outcome
    }

    async fn handle(
        &self,
        connection: &mut PgConnection,
        items: &[Item<'_>],
    ) -> Result<(), BatchError> {
        match AssertUnwindSafe(self.handle_or_panic(connection, items)).catch_unwind().await {
            Ok(outcome) => outcome,
            Err(_) => Err(BatchError::Poison("the read model's handler panicked".to_owned())),
        }
    }

    async fn handle_or_panic(
        &self,
        connection: &mut PgConnection,
        items: &[Item<'_>],
    ) -> Result<(), BatchError> {
        let mut entries = Vec::with_capacity(items.len());
        for Item { recorded, .. } in items {
            let events = (self.source.decode)(recorded).map_err(|error| {
                let position = recorded.position;
                let error = chain(&*error);
                BatchError::Poison(format!("read the event at position {position}: {error}"))
            })?;
            entries.extend(events.into_iter().map(|event| Entry { event, recorded }));
        }
        if entries.is_empty() {
            return Ok(());
        }
        Ok((self.projection.apply)(connection, &entries).await?)
    }

    pub(crate) async fn begin(&self) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
        answer::begin(self.source.store.pool(), AssertSqlSafe(self.begin.clone())).await
    }
}

fn taken(items: &[Item<'_>]) -> BTreeMap<i16, Taken> {
    let mut taken: BTreeMap<i16, Taken> = BTreeMap::new();
    for item in items {
        taken.entry(item.slot).or_default().add(item.recorded.position);
    }
    taken
}

/// Whether the database refused what an event wanted, rather than being in trouble itself: too many
/// rows, data exceptions, broken constraints, limits, what functions raise, and rows that are not there.
fn is_fault_of_an_event(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["21", "22", "23", "54", "P0"].iter().any(|of| code.starts_with(of))
        }),
        sqlx::Error::Protocol(_)
        | sqlx::Error::RowNotFound
        | sqlx::Error::Encode(_)
        | sqlx::Error::Decode(_)
        | sqlx::Error::ColumnDecode { .. } => true,
        _ => false,
    }
}

/// Most bytes of what is told of an error: it may quote an event.
const MOST_TOLD: usize = 2_000;

/// The error with everything that led to it, as text that can be stored.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    let text = causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"));
    // PostgreSQL takes no NUL in a text.
    let text = text.replace('\0', "\u{fffd}");
    match text.char_indices().map(|(at, _)| at).find(|at| *at >= MOST_TOLD) {
        Some(end) => format!("{} …", &text[..end]),
        None => text,
    }
}
