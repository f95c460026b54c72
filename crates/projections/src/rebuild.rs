//! Makes a read model anew from the log, beside the live one, and switches to it.
//!
//! The shadow is filled while the live model serves and follows. The switch is one short
//! transaction: it holds the cursor still, brings the shadow to the end of the log, renames the
//! two schemas and moves the cursor to the shadow's position under a new epoch. No query sees an
//! empty or a half-built model, and none waits: renaming takes no lock on the tables.

use eventstore::{EventStore, Position};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::{ApplyError, Entry, Projection};

/// Most events of one batch.
const BATCH: u16 = 1_000;

/// How far a rebuild has come.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Everything up to here is in the shadow.
    pub position: Position,
    /// Where the log ended when this was reported.
    pub head: Position,
}

/// Why a rebuild ended without a switch. The live model is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// One at a time.
    #[error("a rebuild of {0} is under way already")]
    UnderWay(&'static str),
    /// An event could not take effect.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// The database did not answer, or refused.
    #[error("rebuild")]
    Database(#[from] sqlx::Error),
}

/// Rebuilds `projection` and switches to the new one; answers with the position it is at.
///
/// # Errors
/// See [`RebuildError`].
pub async fn rebuild(
    store: &EventStore,
    projection: &'static Projection,
    report: impl FnMut(Progress) + Send,
) -> Result<Position, RebuildError> {
    let live = projection.schema_name();
    let shadow = format!("{live}_rebuild");
    let retired = format!("{live}_retired");
    // Held by this connection until the end: a crashed rebuild frees it by dying.
    let mut connection = store.pool().acquire().await?.detach();
    let free = sqlx::query_scalar!("SELECT pg_try_advisory_lock(hashtext($1))", shadow)
        .fetch_one(&mut connection)
        .await?;
    if free != Some(true) {
        return Err(RebuildError::UnderWay(projection.name));
    }
    let names = [live.as_str(), &shadow, &retired];
    let rebuilt = rebuild_in(store, &mut connection, projection, names, report).await;
    // Freed here rather than by the end of the session, which the server notices some time later:
    // the next rebuild would be refused until then.
    let freed = sqlx::query_scalar!("SELECT pg_advisory_unlock(hashtext($1))", shadow)
        .fetch_one(&mut connection)
        .await;
    if let Err(error) = freed {
        tracing::debug!(%error, "could not free the lock of the rebuild, it ends with its session");
    }
    rebuilt
}

async fn rebuild_in(
    store: &EventStore,
    connection: &mut PgConnection,
    projection: &'static Projection,
    [live, shadow, retired]: [&str; 3],
    mut report: impl FnMut(Progress) + Send,
) -> Result<Position, RebuildError> {
    crate::prepare(store.pool(), &[projection]).await?;
    drop_schema(connection, shadow).await?;
    drop_schema(connection, retired).await?;
    transaction(connection, async |connection| {
        Ok(projection.create_in(connection, shadow).await?)
    })
    .await?;

    let mut position = Position::START;
    loop {
        let head = EventStore::head_in(connection).await?;
        report(Progress { position, head });
        if head.get() - position.get() <= i64::from(BATCH) {
            break;
        }
        position = transaction(connection, async |connection| {
            fill(store, connection, projection, shadow, position, head).await
        })
        .await?;
    }
    let position = transaction(connection, async |connection| {
        switch(store, connection, projection, [live, shadow, retired], position).await
    })
    .await?;
    report(Progress { position, head: position });
    drop_schema(connection, retired).await?;
    Ok(position)
}

/// Takes effect of one batch of what lies after `from` and up to `to`; answers with how far it came.
async fn fill(
    store: &EventStore,
    connection: &mut PgConnection,
    projection: &Projection,
    schema: &str,
    from: Position,
    to: Position,
) -> Result<Position, RebuildError> {
    let page = store.read_page_in(connection, &projection.filter(), from, to, BATCH).await?;
    let entries = page.events.into_iter().map(Entry::read).collect::<Result<Vec<_>, _>>()?;
    projection.apply_to(connection, schema, &entries).await?;
    Ok(page.reached)
}

async fn switch(
    store: &EventStore,
    connection: &mut PgConnection,
    projection: &Projection,
    [live, shadow, retired]: [&str; 3],
    mut position: Position,
) -> Result<Position, RebuildError> {
    let name = projection.cursor_name();
    sqlx::query_scalar!(
        "SELECT position FROM eventstore.cursors WHERE name = $1 FOR UPDATE",
        name,
    )
    .fetch_optional(&mut *connection)
    .await?;
    // At or beyond the cursor, which is held still: what was seen stays seen. A model that fell
    // behind, or that nobody follows, does not hold the new one back.
    let head = EventStore::head_in(connection).await?;
    while position < head {
        position = fill(store, connection, projection, shadow, position, head).await?;
    }
    let rename =
        format!("ALTER SCHEMA {live} RENAME TO {retired}; ALTER SCHEMA {shadow} RENAME TO {live}");
    sqlx::raw_sql(AssertSqlSafe(rename)).execute(&mut *connection).await?;
    // A new epoch, not leased: whoever follows leases it again and goes on from here.
    sqlx::query!(
        r#"
        INSERT INTO eventstore.cursors AS mine (name, position, epoch, expires_at, moved_at)
        VALUES ($1, $2, 1, clock_timestamp(), clock_timestamp())
        ON CONFLICT (name) DO UPDATE
        SET position = excluded.position, epoch = mine.epoch + 1,
            expires_at = excluded.expires_at, moved_at = excluded.moved_at
        "#,
        name,
        position.get(),
    )
    .execute(connection)
    .await?;
    Ok(position)
}

async fn drop_schema(connection: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    let drop = format!("DROP SCHEMA IF EXISTS {schema} CASCADE");
    sqlx::raw_sql(AssertSqlSafe(drop)).execute(connection).await?;
    Ok(())
}

async fn transaction<T>(
    connection: &mut PgConnection,
    body: impl AsyncFnOnce(&mut PgConnection) -> Result<T, RebuildError>,
) -> Result<T, RebuildError> {
    use sqlx::Connection;
    let mut transaction = connection.begin().await?;
    let outcome = body(&mut transaction).await?;
    transaction.commit().await?;
    Ok(outcome)
}
