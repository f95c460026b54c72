//! Keys whose next event could not take effect (law 8).
//!
//! A parked key waits with its later events, in order, while all others go on. Nothing of the events
//! is copied: their positions are kept, and they are read from the log again. Whoever changes what is
//! parked holds the row of the slot, as those who move it do, so both see the same.

use std::borrow::Cow;
use std::collections::HashSet;

use eventstore::Position;
use sqlx::PgConnection;

use crate::Projection;
use crate::batch::{BatchError, Item};

/// Most keys of a read model that may be parked; one more, and it stands still: something is wrong
/// with more than some keys.
pub const MOST_PARKED: i64 = 100;

/// A key that was parked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parked {
    pub(crate) key: String,
    pub(crate) position: Position,
    pub(crate) error: String,
}

impl Parked {
    pub(crate) fn new(item: &Item<'_>, error: String) -> Self {
        Self { key: item.key.to_string(), position: item.recorded.position, error }
    }
}

/// Puts those of `items` whose key is parked behind what is parked of it; answers with the others.
pub(crate) async fn set_aside<'i, 'a>(
    connection: &mut PgConnection,
    generation: i64,
    items: &'i [Item<'a>],
) -> Result<Cow<'i, [Item<'a>]>, sqlx::Error> {
    let keys: Vec<_> = items.iter().map(|item| item.key.as_ref()).collect();
    let positions: Vec<_> = items.iter().map(|item| item.recorded.position.get()).collect();
    let aside = sqlx::query_scalar!(
        r#"
        INSERT INTO projections.parked_events (generation, key, position)
        SELECT p.generation, p.key, item.position
        FROM unnest($2::text[], $3::bigint[]) AS item (key, position)
        JOIN projections.parked_keys AS p ON p.generation = $1 AND p.key = item.key
        RETURNING position
        "#,
        generation,
        &keys as _,
        &positions,
    )
    .fetch_all(connection)
    .await?;
    if aside.is_empty() {
        return Ok(Cow::Borrowed(items));
    }
    let aside: HashSet<_> = aside.into_iter().collect();
    let is_free = |item: &&Item<'_>| !aside.contains(&item.recorded.position.get());
    Ok(Cow::Owned(items.iter().filter(is_free).cloned().collect()))
}

/// Parks the key of `items`, all of one key, of which the first failed with `error`.
pub(crate) async fn park(
    connection: &mut PgConnection,
    generation: i64,
    items: &[Item<'_>],
    error: &str,
) -> Result<(), sqlx::Error> {
    let Some(first) = items.first() else { return Ok(()) };
    let positions: Vec<_> = items.iter().map(|item| item.recorded.position.get()).collect();
    sqlx::query!(
        r#"
        WITH key AS (
            INSERT INTO projections.parked_keys (generation, key, slot, attempts, error)
            VALUES ($1, $2, $3, 1, $4)
        ), slot AS (
            UPDATE projections.slots SET parked = parked + 1 WHERE generation = $1 AND slot = $3
        )
        INSERT INTO projections.parked_events (generation, key, position)
        SELECT $1, $2, position FROM unnest($5::bigint[]) AS position
        "#,
        generation,
        first.key.as_ref(),
        first.slot,
        error,
        &positions,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Refuses to leave more keys parked than people can look after.
pub(crate) async fn refuse_too_many(
    connection: &mut PgConnection,
    generation: i64,
    projection: &Projection,
    last: &Parked,
) -> Result<(), BatchError> {
    let parked = sqlx::query_scalar!(
        r#"SELECT sum(parked)::bigint AS "parked!" FROM projections.slots WHERE generation = $1"#,
        generation,
    )
    .fetch_one(connection)
    .await?;
    if parked <= MOST_PARKED {
        return Ok(());
    }
    let (most, name, error) = (MOST_PARKED, projection.name, last.error.clone());
    Err(BatchError::TooManyParked { parked: parked - 1, most, name, error })
}
