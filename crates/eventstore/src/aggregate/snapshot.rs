//! States kept in the database, to read fewer events.

use super::{Aggregate, Loaded};
use crate::answer::within;
use crate::{EventStore, Position, StreamId, StreamVersion};

/// The snapshot of `id`, if there is one that today's code can read.
pub(super) async fn find<A: Aggregate>(
    store: &EventStore,
    id: &StreamId,
) -> Result<Option<Loaded<A>>, sqlx::Error> {
    if A::SNAPSHOTS.every_events == 0 {
        return Ok(None);
    }
    let found = sqlx::query!(
        r#"
        SELECT version, position, state::text AS "state!"
        FROM eventstore.snapshots
        WHERE stream = $1 AND schema_version = $2
        "#,
        id.as_str(),
        A::SNAPSHOTS.schema_version,
    );
    let Some(row) = within(found.fetch_optional(store.pool())).await? else { return Ok(None) };
    match serde_json::from_str(&row.state) {
        Ok(state) => {
            let version = StreamVersion::new(row.version);
            let position = Position::new(row.position);
            Ok(Some(Loaded { state, version, position, snapshot: version }))
        }
        Err(error) => {
            tracing::warn!(stream.id = %id, %error, "a snapshot cannot be read, its events are; does its schema version need to be raised?");
            Ok(None)
        }
    }
}

/// Keeps `loaded` as the snapshot of `id`, unless a later one is there.
pub(super) async fn keep<A: Aggregate>(
    store: &EventStore,
    id: &StreamId,
    loaded: &Loaded<A>,
) -> Result<(), KeepError> {
    let state = serde_json::value::to_raw_value(&loaded.state)?;
    let kept = sqlx::query!(
        r#"
        INSERT INTO eventstore.snapshots AS kept (stream, schema_version, version, position, state)
        VALUES ($1, $2, $3, $4, $5::text::json)
        ON CONFLICT (stream) DO UPDATE
        SET schema_version = excluded.schema_version, version = excluded.version,
            position = excluded.position, taken_at = excluded.taken_at, state = excluded.state
        WHERE kept.schema_version <> excluded.schema_version OR kept.version < excluded.version
        "#,
        id.as_str(),
        A::SNAPSHOTS.schema_version,
        loaded.version.get(),
        loaded.position.get(),
        state.get(),
    );
    within(kept.execute(store.pool())).await?;
    Ok(())
}

/// Why a snapshot was not kept; nothing depends on it.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    #[error("write the state as JSON")]
    Encode(#[from] serde_json::Error),
    #[error("keep the snapshot")]
    Database(#[from] sqlx::Error),
}
