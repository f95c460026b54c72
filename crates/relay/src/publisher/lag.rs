//! How far the relay is behind, asked of the database: by any process, whoever leads.

use chrono::{DateTime, Utc};
use eventstore::{Cursor, EventStore, Position};

use super::cursor_name;
use crate::Namespace;

/// The oldest message that is not known to be in the stream, and since when it waits; `None` if
/// all are.
///
/// # Errors
/// The database cannot be reached.
pub async fn oldest_unpublished(
    store: &EventStore,
    namespace: &Namespace,
) -> Result<Option<(Position, DateTime<Utc>)>, sqlx::Error> {
    let cursor = Cursor::peek(store.pool(), &cursor_name(namespace)).await?.unwrap_or_default();
    let waiting = store.read_outbox(cursor, 1).await?;
    Ok(waiting.first().map(|message| (message.event.position, message.event.recorded_at)))
}
