//! States kept in the database, to read fewer events.

use sqlx::PgConnection;

use super::loader::Loader;
use super::{Aggregate, LoadError, Loaded};
use crate::answer::within;
use crate::{PersonalError, Place, Position, StreamId, StreamVersion};

/// The snapshot of `id`, if there is one that today's code can read and that is not later than
/// `end`: others take snapshots meanwhile.
pub(super) async fn find<A: Aggregate>(
    by: &Loader,
    connection: &mut PgConnection,
    id: &StreamId,
    end: Position,
) -> Result<Option<Loaded<A>>, LoadError> {
    if A::SNAPSHOTS.every_events == 0 {
        return Ok(None);
    }
    let found = sqlx::query!(
        r#"
        SELECT version, position, state::text AS "state!"
        FROM eventstore.snapshots
        WHERE stream = $1 AND schema_version = $2 AND position <= $3
        "#,
        id.as_str(),
        A::SNAPSHOTS.schema_version,
        end.get(),
    );
    let found = within(found.fetch_optional(&mut *connection)).await;
    let found = found.map_err(|source| LoadError::Database { stream: id.clone(), source })?;
    let Some(row) = found else { return Ok(None) };
    let read = || serde_json::from_str(&row.state);
    let read = match &by.keyring {
        None => read().map_err(PersonalError::Codec),
        Some(keyring) => keyring.open_on(connection, &place(id), read).await,
    };
    match read {
        Ok(state) => {
            let version = StreamVersion::new(row.version);
            let position = Position::new(row.position);
            Ok(Some(Loaded { state, version, position, snapshot: version, opened: None }))
        }
        Err(PersonalError::Codec(error)) => {
            tracing::warn!(stream.id = %id, %error, "a snapshot cannot be read, its events are; does its schema version need to be raised?");
            Ok(None)
        }
        Err(PersonalError::Keyring(source)) => {
            Err(LoadError::Sealed { stream: id.clone(), source })
        }
    }
}

/// Where the personal data of a snapshot belongs.
fn place(id: &StreamId) -> Place {
    Place::other(format!("snapshot:{id}"))
}

/// Keeps `loaded` as the snapshot of `id`, unless a later one is there.
pub(super) async fn keep<A: Aggregate>(
    by: &Loader,
    id: &StreamId,
    loaded: &Loaded<A>,
) -> Result<(), KeepError> {
    let write = || serde_json::to_string(&loaded.state);
    let state = match &by.keyring {
        None => write().map_err(PersonalError::Codec)?,
        Some(keyring) => keyring.seal(&place(id), write).await?,
    };
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
        state,
    );
    within(kept.execute(by.store.pool())).await?;
    Ok(())
}

/// Why a snapshot was not kept; nothing depends on it.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    #[error("write the state as JSON")]
    Encode(#[from] PersonalError<serde_json::Error>),
    #[error("keep the snapshot")]
    Database(#[from] sqlx::Error),
}
