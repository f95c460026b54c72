//! Reading: streams and the log, in order.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::append::Metadata;
use crate::{CommandId, EventId, EventType, Position, StreamId, StreamVersion};

/// An event of the log.
#[derive(Debug, Clone)]
pub struct RecordedEvent {
    /// Its place in the log.
    pub position: Position,
    /// When it was appended; never less than that of an earlier position.
    pub recorded_at: DateTime<Utc>,
    /// Its id.
    pub id: EventId,
    /// The command it follows from.
    pub command_id: CommandId,
    /// Who asked, and why.
    pub metadata: Metadata,
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its place in the stream.
    pub version: StreamVersion,
    /// What it says.
    pub event_type: EventType,
    /// JSON text, byte for byte as it was appended.
    pub payload: String,
}

/// An event that the public is told of.
#[derive(Debug, Clone)]
pub struct OutboxMessage {
    /// On which subject, without the installation's namespace.
    pub subject: String,
    /// The event.
    pub event: RecordedEvent,
}

struct EventRow {
    position: i64,
    recorded_at: DateTime<Utc>,
    event_id: Uuid,
    command_id: Uuid,
    correlation_id: Uuid,
    causation_id: Option<Uuid>,
    version: i64,
    schema_version: i16,
    event_type: String,
    stream: String,
    actor: String,
    trace: Option<String>,
    payload: String,
}

impl From<EventRow> for RecordedEvent {
    fn from(row: EventRow) -> Self {
        Self {
            position: Position::new(row.position),
            recorded_at: row.recorded_at,
            id: EventId::new(row.event_id),
            command_id: CommandId::new(row.command_id),
            metadata: Metadata {
                actor: row.actor,
                correlation_id: row.correlation_id,
                causation_id: row.causation_id,
                trace: row.trace,
            },
            stream: StreamId::recorded(row.stream),
            version: StreamVersion::new(row.version),
            event_type: EventType { name: row.event_type, schema_version: row.schema_version },
            payload: row.payload,
        }
    }
}

/// All events of `streams`, in log order.
pub(crate) async fn streams(
    connection: &mut PgConnection,
    streams: &[StreamId],
) -> Result<Vec<RecordedEvent>, sqlx::Error> {
    let names: Vec<&str> = streams.iter().map(StreamId::as_str).collect();
    let rows = sqlx::query_as!(
        EventRow,
        r#"
        SELECT position, recorded_at, event_id, command_id, correlation_id, causation_id, version,
               schema_version, type AS event_type, stream, actor, trace, payload::text AS "payload!"
        FROM eventstore.events
        WHERE stream = ANY ($1)
        ORDER BY position
        "#,
        &names as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(RecordedEvent::from).collect())
}

/// At most `limit` events after `after` and up to `to`, of `types` or of all, in log order.
pub(crate) async fn log(
    connection: &mut PgConnection,
    after: Position,
    to: Position,
    types: Option<&[&str]>,
    limit: i64,
) -> Result<Vec<RecordedEvent>, sqlx::Error> {
    let rows = sqlx::query_as!(
        EventRow,
        r#"
        SELECT position, recorded_at, event_id, command_id, correlation_id, causation_id, version,
               schema_version, type AS event_type, stream, actor, trace, payload::text AS "payload!"
        FROM eventstore.events
        WHERE position > $1 AND position <= $2 AND ($3::text[] IS NULL OR type = ANY ($3))
        ORDER BY position
        LIMIT $4
        "#,
        after.get(),
        to.get(),
        types as _,
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(RecordedEvent::from).collect())
}

/// At most `limit` messages of the outbox after `after`, in log order.
pub(crate) async fn outbox(
    pool: &PgPool,
    after: Position,
    limit: i64,
) -> Result<Vec<OutboxMessage>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        SELECT o.subject, e.position, e.recorded_at, e.event_id, e.command_id, e.correlation_id, e.causation_id,
               e.version, e.schema_version, e.type AS event_type, e.stream, e.actor, e.trace,
               e.payload::text AS "payload!"
        FROM eventstore.outbox AS o
        JOIN eventstore.events AS e ON e.position = o.position
        WHERE o.position > $1
        ORDER BY o.position
        LIMIT $2
        "#,
        after.get(),
        limit,
    )
    .fetch_all(pool)
    .await?;
    let messages = rows.into_iter().map(|row| OutboxMessage {
        subject: row.subject,
        event: RecordedEvent::from(EventRow {
            position: row.position,
            recorded_at: row.recorded_at,
            event_id: row.event_id,
            command_id: row.command_id,
            correlation_id: row.correlation_id,
            causation_id: row.causation_id,
            version: row.version,
            schema_version: row.schema_version,
            event_type: row.event_type,
            stream: row.stream,
            actor: row.actor,
            trace: row.trace,
            payload: row.payload,
        }),
    });
    Ok(messages.collect())
}
