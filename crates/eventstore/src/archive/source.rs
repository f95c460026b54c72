//! What an export reads besides events.

use std::collections::HashMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::line::{ClaimLine, CommandLine};
use crate::{CommandId, Position, RecordedEvent};

/// Claims of one page.
const PAGE: i64 = 1_000;

/// The records of the commands of `events`, by last position, as far as their last event is among
/// them.
pub(super) async fn commands(
    connection: &mut PgConnection,
    events: &[RecordedEvent],
) -> Result<HashMap<i64, CommandLine>, sqlx::Error> {
    let Some(last) = events.last() else { return Ok(HashMap::new()) };
    let mut ids: Vec<Uuid> = events.iter().map(|event| event.command_id.get()).collect();
    ids.dedup();
    let rows = sqlx::query_as!(
        CommandRow,
        "
        SELECT command_id, fingerprint, first_position, last_position, recorded_at
        FROM eventstore.commands
        WHERE command_id = ANY ($1) AND last_position <= $2
        ",
        &ids,
        last.position.get(),
    );
    let rows = rows.fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| (row.last_position, row.into())).collect())
}

/// The records of commands without events that found the log after `after` and up to `to`.
pub(super) async fn idle_commands(
    connection: &mut PgConnection,
    after: i64,
    to: i64,
) -> Result<Vec<CommandLine>, sqlx::Error> {
    let rows = sqlx::query_as!(
        CommandRow,
        "
        SELECT command_id, fingerprint, first_position, last_position, recorded_at
        FROM eventstore.commands
        WHERE first_position > last_position AND last_position > $1 AND last_position <= $2
        ORDER BY last_position, recorded_at, command_id
        ",
        after,
        to,
    );
    Ok(rows.fetch_all(connection).await?.into_iter().map(CommandLine::from).collect())
}

/// Some claims after `after`, in order; none if there are no more.
pub(super) async fn claims(
    connection: &mut PgConnection,
    after: Option<&(String, String)>,
) -> Result<Vec<ClaimLine>, sqlx::Error> {
    // The least value behind another is that with the least character added, as no text has U+0000;
    // a bound like this is looked up in the index, where `OR` would not be.
    let (namespace, value) = match after {
        Some((namespace, value)) => (namespace.as_str(), format!("{value}\u{1}")),
        None => ("", String::new()),
    };
    let rows = sqlx::query_as!(
        ClaimLine,
        "
        SELECT namespace, value, stream, subject
        FROM eventstore.claims
        WHERE (namespace, value) >= ($1, $2)
        ORDER BY namespace, value
        LIMIT $3
        ",
        namespace,
        value,
        PAGE,
    );
    rows.fetch_all(connection).await
}

/// Lets a transaction wait for whoever takes what it has read, or gives what it writes: a pipe may
/// be slow, and nobody else needs a log that is being taken in.
pub(super) async fn be_patient(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!("SELECT set_config('idle_in_transaction_session_timeout', '10min', true)")
        .fetch_one(connection)
        .await
        .map(|_| ())
}

struct CommandRow {
    command_id: Uuid,
    fingerprint: Vec<u8>,
    first_position: i64,
    last_position: i64,
    recorded_at: chrono::DateTime<chrono::Utc>,
}

impl From<CommandRow> for CommandLine {
    fn from(row: CommandRow) -> Self {
        Self {
            id: CommandId::new(row.command_id),
            fingerprint: row.fingerprint,
            first_position: Position::new(row.first_position),
            last_position: Position::new(row.last_position),
            recorded_at: row.recorded_at,
        }
    }
}
