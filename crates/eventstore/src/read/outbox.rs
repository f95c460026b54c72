//! Reading what the public is told.

use super::RecordedEvent;
use super::row::{EventRow, Reader};
use crate::answer::within;
use crate::{EventStore, Position};

/// An event that the public is told of.
#[derive(Debug, Clone)]
pub struct OutboxMessage {
    /// On which subject, without the installation's namespace.
    pub subject: String,
    /// The event.
    pub event: RecordedEvent,
}

impl EventStore {
    /// At most `limit` messages for the public after `after`, in log order.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn read_outbox(
        &self,
        after: Position,
        limit: u16,
    ) -> Result<Vec<OutboxMessage>, sqlx::Error> {
        let rows = sqlx::query!(
            r#"
            SELECT o.subject, e.position, e.recorded_at, e.command_id, e.correlation_id, e.causation_id,
                   e.version, e.schema_version, e.type AS event_type, e.stream, e.actor, e.trace, e.tags,
                   e.payload::text AS "payload!"
            FROM eventstore.outbox AS o
            JOIN eventstore.events AS e ON e.position = o.position
            WHERE o.position > $1
            ORDER BY o.position
            LIMIT $2
            "#,
            after.get(),
            i64::from(limit),
        );
        let rows = within(rows.fetch_all(self.pool())).await?;
        let mut reader = Reader::of(self.log_id());
        let messages = rows.into_iter().map(|row| OutboxMessage {
            subject: row.subject,
            event: reader.read(EventRow {
                position: row.position,
                recorded_at: row.recorded_at,
                command_id: row.command_id,
                correlation_id: row.correlation_id,
                causation_id: row.causation_id,
                version: row.version,
                schema_version: row.schema_version,
                event_type: row.event_type,
                stream: row.stream,
                actor: row.actor,
                trace: row.trace,
                tags: row.tags,
                payload: row.payload,
            }),
        });
        Ok(messages.collect())
    }
}
