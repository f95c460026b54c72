//! What a read model is.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;

use domain::Event;
use eventstore::{Filter, Position, RecordedEvent, StreamId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::time_travel::AsOfJson;

/// A read model: its name, its tables, the events it reads and what they do to it.
#[derive(Clone)]
pub struct Projection {
    /// What operators call it.
    pub name: &'static str,
    /// Counts the shapes of its tables; a new one lives beside the old one until nobody needs that.
    pub version: u16,
    /// Makes its tables, in a schema of its own that is first on the search path. Each has a primary
    /// key, by which two generations of it are compared.
    pub schema: &'static str,
    /// The names of the events it reads; others cost it nothing.
    pub reads: &'static [&'static str],
    /// Within what the order of events matters, as [`id_of_stream`] as a rule: events of one key take
    /// effect in order, and wait for each other; a row is changed by events of one key only.
    ///
    /// It may look at everything but the payload, which nobody may be able to read.
    pub key: fn(&RecordedEvent) -> Cow<'_, str>,
    /// Takes effect of a batch of events, in log order, set by set rather than event by event.
    /// Table names are unqualified, so that a rebuild can fill a schema of another name.
    pub apply: for<'a> fn(&'a mut PgConnection, &'a [Entry<'a>]) -> Applied<'a>,
    /// What it held of a key at an earlier moment, for read models that can say it.
    pub as_of: Option<AsOfJson>,
}

/// The outcome of [`Projection::apply`].
pub type Applied<'a> = Pin<Box<dyn Future<Output = Result<(), HandlerError>> + Send + 'a>>;

/// An event as a read model sees it.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// What happened, as today's domain says it.
    pub event: Event,
    /// Where and when it was recorded. An event of an old shape may be several of today's, which then
    /// share this.
    pub recorded: &'a RecordedEvent,
}

/// Why events had no effect.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// The tables are not what the event speaks of: going on would hide it.
    #[error("the event at position {position} does not fit the read model: {reason}")]
    Unexpected {
        /// The event.
        position: Position,
        /// What is wrong.
        reason: String,
    },
    /// The database refused, or did not answer.
    #[error("change the read model")]
    Database(#[from] sqlx::Error),
}

impl Projection {
    /// Name and version, for example `orders_v4`: also the name of the schema of the live one.
    #[must_use]
    pub fn model(&self) -> String {
        format!("{}_v{}", self.name, self.version)
    }

    /// Whether it reads events of the type `name`.
    #[must_use]
    pub fn reads(&self, name: &str) -> bool {
        self.reads.contains(&name)
    }

    /// The events it reads.
    pub(crate) fn filter(&self) -> Filter {
        Filter::types(self.reads.iter().copied())
    }
}

impl std::fmt::Debug for Projection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.model())
    }
}

/// What stands behind the category in the name of the stream: the id of the aggregate.
#[must_use]
pub fn id_of_stream(event: &RecordedEvent) -> Cow<'_, str> {
    let stream = event.stream.as_str();
    Cow::Borrowed(stream.split_once('-').map_or(stream, |(_, id)| id))
}

/// The streams of the aggregate `id` in each of `categories`.
pub(crate) fn streams(categories: &[&str], id: Uuid) -> Vec<StreamId> {
    categories
        .iter()
        .filter_map(|category| StreamId::new(format!("{category}-{id}")).ok())
        .collect()
}

/// Refuses a write that touched other rows than the events speak of: the tables are not what the
/// log says, and going on would hide it.
pub(crate) fn expect_rows(touched: u64, expected: usize, table: &str) -> Result<(), sqlx::Error> {
    if usize::try_from(touched) == Ok(expected) {
        return Ok(());
    }
    let message =
        format!("{touched} rows of {table} were touched where the events speak of {expected}");
    Err(sqlx::Error::Protocol(message))
}
