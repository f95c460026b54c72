//! A row of the log, and how it becomes an event.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::RecordedEvent;
use crate::append::Metadata;
use crate::{CommandId, EventId, EventType, LogId, Position, StreamId, StreamVersion, Tag};

pub(super) struct EventRow {
    pub(super) position: i64,
    pub(super) recorded_at: DateTime<Utc>,
    pub(super) command_id: Uuid,
    pub(super) correlation_id: Uuid,
    pub(super) causation_id: Option<Uuid>,
    pub(super) version: i64,
    pub(super) schema_version: i16,
    pub(super) event_type: String,
    pub(super) stream: String,
    pub(super) actor: String,
    pub(super) tenant: Option<Uuid>,
    pub(super) trace: Option<String>,
    pub(super) tags: Option<Vec<String>>,
    pub(super) payload: String,
}

/// Rows of the log, whatever follows `FROM eventstore.events AS e`.
macro_rules! select_events {
    ($rest:tt $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            crate::read::row::EventRow,
            r#"
        SELECT e.position, e.recorded_at, e.command_id, e.correlation_id, e.causation_id, e.version,
               e.schema_version, e.type AS event_type, e.stream, e.actor, e.tenant, e.trace, e.tags,
               e.payload::text AS "payload!"
        FROM eventstore.events AS e
        "#
            + $rest,
            $($argument),*
        )
    };
}
pub(super) use select_events;

/// Makes events of the rows of `log`; neighbours share the text of what they have in common.
pub(super) struct Reader {
    log: LogId,
    stream: Arc<str>,
    event_type: Arc<str>,
}

impl Reader {
    pub(super) fn of(log: LogId) -> Self {
        Self { log, stream: Arc::from(""), event_type: Arc::from("") }
    }

    pub(super) fn read(&mut self, row: EventRow) -> RecordedEvent {
        let position = Position::new(row.position);
        let tags = row.tags.unwrap_or_default().into_iter();
        RecordedEvent {
            position,
            recorded_at: row.recorded_at,
            id: EventId::of(self.log, position, row.recorded_at),
            command_id: CommandId::new(row.command_id),
            metadata: Metadata {
                actor: row.actor,
                tenant: row.tenant,
                correlation_id: row.correlation_id,
                causation_id: row.causation_id,
                trace: row.trace,
            },
            stream: StreamId::recorded(shared(&mut self.stream, row.stream)),
            version: StreamVersion::new(row.version),
            event_type: EventType {
                name: shared(&mut self.event_type, row.event_type),
                schema_version: row.schema_version,
            },
            tags: tags.map(|tag| Tag::recorded(tag.into())).collect(),
            payload: row.payload,
        }
    }

    pub(super) fn read_all(mut self, rows: Vec<EventRow>) -> Vec<RecordedEvent> {
        rows.into_iter().map(|row| self.read(row)).collect()
    }
}

fn shared(last: &mut Arc<str>, text: String) -> Arc<str> {
    if **last != *text {
        *last = text.into();
    }
    Arc::clone(last)
}
