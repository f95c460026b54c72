//! What a read model is.

use std::future::Future;
use std::pin::Pin;

use domain::{DecodeError, Event};
use eventstore::{Filter, Position, RecordedEvent, answer};
use sqlx::{AssertSqlSafe, PgConnection, PgPool};

/// A read model: its name, its tables, the events it reads and what they do to it.
pub struct Projection {
    /// What operators call it.
    pub name: &'static str,
    /// Counts the shapes of its tables; a new one lives beside the old one until it is switched to.
    pub version: u16,
    /// Makes its tables, in a schema of its own that is first on the search path.
    pub schema: &'static str,
    /// The names of the events it reads.
    pub reads: &'static [&'static str],
    /// Takes effect of a batch of events, in log order, set by set rather than event by event.
    /// Table names are unqualified, so that a rebuild can fill a schema of another name.
    pub apply: for<'a> fn(&'a mut PgConnection, &'a [Entry]) -> Applied<'a>,
}

/// The outcome of [`Projection::apply`].
pub(crate) type Applied<'a> = Pin<Box<dyn Future<Output = Result<(), sqlx::Error>> + Send + 'a>>;

/// An event as a read model sees it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What happened.
    pub event: Event,
    /// Where and when it was recorded.
    pub recorded: RecordedEvent,
}

/// Why a batch of events had no effect.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// An event of the log that today's types cannot read.
    #[error("read the event at position {position}")]
    Undecodable {
        /// Its place in the log.
        position: Position,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
    /// The database refused the batch.
    #[error("apply the events up to position {to}")]
    Database {
        /// The last event of the batch.
        to: Position,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
}

impl Projection {
    /// The schema its tables live in, for example `orders_v1`.
    #[must_use]
    pub fn schema_name(&self) -> String {
        format!("{}_v{}", self.name, self.version)
    }

    /// The name of its cursor in the log.
    #[must_use]
    pub fn cursor_name(&self) -> String {
        format!("projection:{}", self.schema_name())
    }

    /// The events it reads.
    pub(crate) fn filter(&self) -> Filter {
        Filter::types(self.reads.iter().copied())
    }

    /// Takes effect of `entries` on the tables in `schema`, in the caller's transaction.
    pub(crate) async fn apply_to(
        &self,
        connection: &mut PgConnection,
        schema: &str,
        entries: &[Entry],
    ) -> Result<(), ApplyError> {
        let Some(last) = entries.last() else { return Ok(()) };
        let to = last.recorded.position;
        let database = |source| ApplyError::Database { to, source };
        search(connection, schema).await.map_err(database)?;
        (self.apply)(connection, entries).await.map_err(database)
    }

    /// Makes its tables in a new `schema`.
    pub(crate) async fn create_in(
        &self,
        connection: &mut PgConnection,
        schema: &str,
    ) -> Result<(), sqlx::Error> {
        let create = format!("CREATE SCHEMA {schema}");
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut *connection).await?;
        search(connection, schema).await?;
        sqlx::raw_sql(self.schema).execute(connection).await?;
        Ok(())
    }
}

impl Entry {
    pub(crate) fn read(recorded: RecordedEvent) -> Result<Self, ApplyError> {
        let event_type = &recorded.event_type;
        let event = Event::decode(&event_type.name, event_type.schema_version, &recorded.payload);
        match event {
            Ok(event) => Ok(Self { event, recorded }),
            Err(source) => Err(ApplyError::Undecodable { position: recorded.position, source }),
        }
    }
}

/// Makes the tables of every read model that has none yet. Safe to repeat, and at the same time.
///
/// # Errors
/// The database cannot be reached, or refuses the tables.
pub async fn prepare(pool: &PgPool, projections: &[&Projection]) -> Result<(), sqlx::Error> {
    for projection in projections {
        let schema = projection.schema_name();
        let mut transaction = answer::begin(pool, "BEGIN").await?;
        sqlx::query!("SELECT pg_advisory_xact_lock(hashtext($1))", format!("prepare {schema}"))
            .execute(&mut *transaction)
            .await?;
        let exists = sqlx::query_scalar!("SELECT to_regnamespace($1) IS NOT NULL", schema)
            .fetch_one(&mut *transaction)
            .await?;
        if exists != Some(true) {
            projection.create_in(&mut transaction, &schema).await?;
        }
        transaction.commit().await?;
    }
    Ok(())
}

/// Puts `schema` on the search path until the end of the transaction.
async fn search(connection: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    sqlx::query!("SELECT set_config('search_path', $1, true)", schema)
        .fetch_one(connection)
        .await?;
    Ok(())
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
