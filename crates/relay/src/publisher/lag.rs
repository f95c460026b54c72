//! How far the relay is behind, asked of the database: by any process, whoever leads.

use chrono::{DateTime, Utc};
use eventstore::{Cursor, EventStore, Outbound, OutboxPlace, PageLimit, Position};

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
    let (after, limit) = (OutboxPlace::after(cursor), PageLimit { events: 1, bytes: usize::MAX });
    let waiting = store.read_outbound(after, limit).await?;
    Ok(waiting.items.first().map(|item| match item {
        Outbound::Event { event, .. } => (event.position, event.recorded_at),
        Outbound::Message(message) => (message.place.position(), message.recorded_at),
    }))
}
