//! What people do to read models that are live: let them rest, and look after parked keys.
//!
//! Whatever is done is recorded in `projections.interventions`.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, Utc};
use eventstore::Position;
use eventstore::answer::{self, within};
use sqlx::{PgConnection, PgPool};

use crate::batch::{BatchError, Batches, Item};
use crate::interventions::{Action, Subject, record, record_about};
use crate::{Projection, Source};

/// How long a statement may take, while others wait for the slot.
const LONGEST_STATEMENT: Duration = Duration::from_secs(9);

/// Parked events that take effect in one transaction.
const CHUNK: i64 = 500;

/// A key whose events wait.
#[derive(Debug, Clone)]
pub struct ParkedKey {
    /// Which.
    pub key: String,
    /// How often its first event was tried.
    pub attempts: i32,
    /// Why that could not take effect.
    pub error: String,
    /// Since when it is parked.
    pub parked_at: DateTime<Utc>,
    /// The first of its events that wait.
    pub position: Position,
    /// How many wait.
    pub events: i64,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// There is no live generation.
    #[error("{0} is not live yet")]
    NotLive(String),
    /// The key is not parked.
    #[error("no event of the key {0:?} is parked")]
    NotParked(String),
    /// The database did not answer, or refused.
    #[error("change how a read model is kept")]
    Database(#[from] sqlx::Error),
}

/// What became of a parked key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redriven {
    /// All its events have taken effect: how many there were.
    Free(u64),
    /// So many have, then one could not: the key is still parked.
    Stuck {
        /// How many took effect.
        events: u64,
        /// Why the next one could not.
        error: String,
    },
}

/// Lets the live generation of `projection` rest, or go on.
///
/// # Errors
/// [`OperationError::NotLive`].
pub async fn set_paused(
    pool: &PgPool,
    projection: &Projection,
    is_paused: bool,
    by: &str,
) -> Result<(), OperationError> {
    let model = projection.model();
    let mut transaction = answer::begin(pool, "BEGIN").await?;
    let changed = sqlx::query!(
        r#"
        UPDATE projections.slots AS s SET paused = $2
        FROM projections.generations AS g
        WHERE g.id = s.generation AND g.model = $1 AND g.state = 'live'
        "#,
        model,
        is_paused,
    )
    .execute(&mut *transaction)
    .await?;
    if changed.rows_affected() == 0 {
        return Err(OperationError::NotLive(model));
    }
    let action = if is_paused { Action::Pause } else { Action::Resume };
    record(&mut transaction, by, action, &model).await?;
    sqlx::query!("SELECT pg_notify('projections_changed', '')")
        .fetch_one(&mut *transaction)
        .await?;
    Ok(transaction.commit().await?)
}

/// The parked keys of the live generation of `projection`, those that wait longest first.
///
/// # Errors
/// The database cannot be reached.
pub async fn parked_keys(
    pool: &PgPool,
    projection: &Projection,
) -> Result<Vec<ParkedKey>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        SELECT p.key, p.attempts, p.error, p.parked_at,
               (SELECT min(e.position) FROM projections.parked_events AS e
                WHERE e.generation = p.generation AND e.key = p.key) AS position,
               (SELECT count(*) FROM projections.parked_events AS e
                WHERE e.generation = p.generation AND e.key = p.key) AS "events!"
        FROM projections.parked_keys AS p
        JOIN projections.generations AS g ON g.id = p.generation
        WHERE g.model = $1 AND g.state = 'live'
        ORDER BY p.parked_at, p.key
        "#,
        projection.model(),
    );
    let rows = within(rows.fetch_all(pool)).await?;
    let keys = rows.into_iter().map(|row| ParkedKey {
        key: row.key,
        attempts: row.attempts,
        error: row.error,
        parked_at: row.parked_at,
        position: Position::new(row.position.unwrap_or_default()),
        events: row.events,
    });
    Ok(keys.collect())
}

/// Has the parked events of `key` take effect, in order.
///
/// # Errors
/// [`OperationError::NotParked`].
pub async fn retry(
    source: &Source,
    projection: &'static Projection,
    key: &str,
    by: &str,
) -> Result<Redriven, OperationError> {
    let model = projection.model();
    let batches = Batches::new(source.clone(), projection, &model, LONGEST_STATEMENT);
    let mut total = 0;
    let mut is_first = true;
    loop {
        let mut transaction = batches.begin().await?;
        let parked = Parked::lock(&mut transaction, projection, key).await?;
        if is_first {
            let subject = Subject { key, position: None, error: &parked.error, reason: None };
            record_about(&mut transaction, by, Action::Retry, &projection.model(), subject).await?;
            is_first = false;
        }
        let (events, error) = parked.redrive(&batches, &mut transaction).await?;
        let is_free = parked.release_if_empty(&mut transaction).await?;
        transaction.commit().await?;
        total += events;
        if let Some(error) = error {
            return Ok(Redriven::Stuck { events: total, error });
        }
        if is_free {
            return Ok(Redriven::Free(total));
        }
    }
}

/// Gives up the first parked event of `key` for ever, and has the others take effect.
///
/// The read model is no longer what the log says, and a rebuild finds the event again.
///
/// # Errors
/// [`OperationError::NotParked`].
pub async fn skip(
    source: &Source,
    projection: &'static Projection,
    key: &str,
    reason: &str,
    by: &str,
) -> Result<Redriven, OperationError> {
    let mut transaction = answer::begin(source.store.pool(), "BEGIN").await?;
    let parked = Parked::lock(&mut transaction, projection, key).await?;
    let position = sqlx::query_scalar!(
        r#"
        DELETE FROM projections.parked_events
        WHERE generation = $1 AND key = $2 AND position = (
            SELECT min(position) FROM projections.parked_events WHERE generation = $1 AND key = $2
        )
        RETURNING position
        "#,
        parked.generation,
        key,
    )
    .fetch_optional(&mut *transaction)
    .await?;
    let position = position.map(Position::new);
    let subject = Subject { key, position, error: &parked.error, reason: Some(reason) };
    record_about(&mut transaction, by, Action::Skip, &projection.model(), subject).await?;
    let is_free = parked.release_if_empty(&mut transaction).await?;
    transaction.commit().await?;
    if is_free { Ok(Redriven::Free(0)) } else { retry(source, projection, key, by).await }
}

/// A parked key whose slot nobody moves until the end of the transaction.
struct Parked<'a> {
    generation: i64,
    slot: i16,
    key: &'a str,
    error: String,
}

impl<'a> Parked<'a> {
    async fn lock(
        connection: &mut PgConnection,
        projection: &Projection,
        key: &'a str,
    ) -> Result<Self, OperationError> {
        let slot = crate::slot_of(key);
        // What was replaced while this waited for it is not found then: it is looked for once more.
        let mut generation = Self::lock_slot(&mut *connection, projection, slot).await?;
        if generation.is_none() {
            generation = Self::lock_slot(&mut *connection, projection, slot).await?;
        }
        let generation = generation.ok_or_else(|| OperationError::NotLive(projection.model()))?;
        let error = sqlx::query_scalar!(
            "SELECT error FROM projections.parked_keys WHERE generation = $1 AND key = $2",
            generation,
            key,
        )
        .fetch_optional(connection)
        .await?;
        let error = error.ok_or_else(|| OperationError::NotParked(key.to_owned()))?;
        Ok(Self { generation, slot, key, error })
    }

    async fn lock_slot(
        connection: &mut PgConnection,
        projection: &Projection,
        slot: i16,
    ) -> Result<Option<i64>, sqlx::Error> {
        sqlx::query_scalar!(
            r#"
            SELECT s.generation
            FROM projections.slots AS s
            JOIN projections.generations AS g ON g.id = s.generation
            WHERE g.model = $1 AND g.state = 'live' AND s.slot = $2
            FOR UPDATE OF s FOR SHARE OF g
            "#,
            projection.model(),
            slot,
        )
        .fetch_optional(connection)
        .await
    }

    /// Has the first of the parked events take effect; answers with how many did, and why the next
    /// one could not.
    async fn redrive(
        &self,
        batches: &Batches,
        connection: &mut PgConnection,
    ) -> Result<(u64, Option<String>), sqlx::Error> {
        let positions = sqlx::query_scalar!(
            r#"
            SELECT position FROM projections.parked_events
            WHERE generation = $1 AND key = $2
            ORDER BY position
            LIMIT $3
            "#,
            self.generation,
            self.key,
            CHUNK,
        )
        .fetch_all(&mut *connection)
        .await?;
        let places: Vec<_> = positions.iter().copied().map(Position::new).collect();
        let events = batches.source.store.read_at(&mut *connection, &places).await?;
        if events.len() != places.len() {
            let error = "the log does not hold all events that are parked".to_owned();
            return Err(sqlx::Error::Protocol(error));
        }
        let items: Vec<_> = events
            .iter()
            .map(|recorded| Item { slot: self.slot, key: Cow::Borrowed(self.key), recorded })
            .collect();
        let stuck = match batches.apply_in_order(&mut *connection, &items).await {
            Ok(stuck) => stuck,
            Err(BatchError::Trouble(error)) => return Err(error),
            Err(error) => Some((0, error.to_string())),
        };
        let done = stuck.as_ref().map_or(positions.len(), |(done, _)| *done);
        sqlx::query!(
            "DELETE FROM projections.parked_events WHERE generation = $1 AND key = $2 AND position = ANY ($3)",
            self.generation,
            self.key,
            positions.get(..done).unwrap_or_default(),
        )
        .execute(&mut *connection)
        .await?;
        let error = stuck.map(|(_, error)| error);
        if let Some(error) = &error {
            sqlx::query!(
                r#"
                UPDATE projections.parked_keys
                SET attempts = CASE WHEN $4 THEN 1 ELSE attempts + 1 END, error = $3,
                    last_attempt_at = clock_timestamp()
                WHERE generation = $1 AND key = $2
                "#,
                self.generation,
                self.key,
                error,
                done > 0,
            )
            .execute(connection)
            .await?;
        }
        Ok((done.try_into().unwrap_or(u64::MAX), error))
    }

    async fn release_if_empty(&self, connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
        let released = sqlx::query!(
            r#"
            WITH released AS (
                DELETE FROM projections.parked_keys AS k
                WHERE k.generation = $1 AND k.key = $2 AND NOT EXISTS (
                    SELECT 1 FROM projections.parked_events AS e
                    WHERE e.generation = k.generation AND e.key = k.key
                )
                RETURNING 1
            )
            UPDATE projections.slots SET parked = parked - 1
            WHERE generation = $1 AND slot = $3 AND EXISTS (SELECT 1 FROM released)
            "#,
            self.generation,
            self.key,
            self.slot,
        )
        .execute(connection)
        .await?;
        Ok(released.rows_affected() > 0)
    }
}
