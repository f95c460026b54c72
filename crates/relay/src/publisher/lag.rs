//! How far the relay is behind, asked of the database: by any process, whoever leads.

use chrono::{DateTime, Utc};
use eventstore::{Cursor, EventStore, PageLimit, Position};

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
    // Where the outbox was retired the contract would have to be asked what is public: anything may be.
    let waiting = store.read_outbound(cursor, PageLimit { events: 1, bytes: usize::MAX }).await?;
    Ok(waiting.items.first().map(|item| (item.event.position, item.event.recorded_at)))
}
