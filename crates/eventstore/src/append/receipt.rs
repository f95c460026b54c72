//! The proof that a command took effect, now or before.

use std::collections::HashSet;

use sqlx::PgConnection;

use crate::{CommandId, Position, StreamId, StreamVersion};

/// The proof that a command took effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The command.
    pub command_id: CommandId,
    /// Where the log was when it had taken effect: a reader that has seen this position has
    /// seen all of it.
    pub position: Position,
    /// The streams it wrote and the versions it brought them to, by name.
    pub streams: Vec<(StreamId, StreamVersion)>,
    /// Whether it had taken effect before, so that this time nothing was written.
    pub repeated: bool,
}

/// What the command `id` did, if it took effect.
pub(crate) async fn find(
    connection: &mut PgConnection,
    id: CommandId,
) -> Result<Option<Receipt>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        SELECT c.last_position, e.stream AS "stream?", max(e.version) AS version
        FROM eventstore.commands AS c
        LEFT JOIN eventstore.events AS e ON e.position BETWEEN c.first_position AND c.last_position
        WHERE c.command_id = $1
        GROUP BY c.last_position, e.stream
        ORDER BY e.stream
        "#,
        id.get(),
    )
    .fetch_all(connection)
    .await?;
    let Some(position) = rows.first().map(|row| Position::new(row.last_position)) else {
        return Ok(None);
    };
    let streams = rows.into_iter().filter_map(|row| {
        Some((StreamId::recorded(row.stream?.into()), StreamVersion::new(row.version?)))
    });
    Ok(Some(Receipt { command_id: id, position, streams: streams.collect(), repeated: true }))
}

/// What the command `id` asked for, if it took effect.
pub(crate) async fn find_fingerprint(
    connection: &mut PgConnection,
    id: CommandId,
) -> Result<Option<Vec<u8>>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT fingerprint FROM eventstore.commands WHERE command_id = $1",
        id.get()
    )
    .fetch_optional(connection)
    .await
}

/// Which of the commands `ids` took effect.
pub(crate) async fn known(
    connection: &mut PgConnection,
    ids: &[CommandId],
) -> Result<HashSet<CommandId>, sqlx::Error> {
    let ids: Vec<_> = ids.iter().map(|id| id.get()).collect();
    let known = sqlx::query_scalar!(
        "SELECT command_id FROM eventstore.commands WHERE command_id = ANY ($1)",
        &ids,
    )
    .fetch_all(connection)
    .await?;
    Ok(known.into_iter().map(CommandId::new).collect())
}
