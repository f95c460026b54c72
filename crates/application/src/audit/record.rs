//! An event as auditors see it: everything that is recorded of it.

use chrono::{DateTime, SecondsFormat, Utc};
use eventstore::{CommandId, EventId, Position, RecordedEvent, StreamId, StreamVersion, Tag};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use uuid::Uuid;

/// An event, with everything that is recorded of it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub struct EventRecord {
    /// Its place in the log.
    #[schemars(with = "i64")]
    pub position: Position,
    /// When it was appended.
    #[serde(serialize_with = "microseconds")]
    pub recorded_at: DateTime<Utc>,
    /// Its id.
    #[schemars(with = "Uuid")]
    pub event_id: EventId,
    /// What it says, and in which shape, for example `ordering.order-placed.v1`.
    pub r#type: String,
    /// The stream it belongs to.
    #[schemars(with = "String")]
    pub stream: StreamId,
    /// Its place in the stream.
    #[schemars(with = "i64")]
    pub version: StreamVersion,
    /// The command it follows from.
    #[schemars(with = "Uuid")]
    pub command_id: CommandId,
    /// The request that began the whole story.
    pub correlation_id: Uuid,
    /// The message that caused the command, if one did.
    pub causation_id: Option<Uuid>,
    /// Who asked.
    pub actor: String,
    /// Whose organization it belongs to, if to one.
    pub tenant: Option<Uuid>,
    /// W3C traceparent of the request.
    pub trace: Option<String>,
    /// What decisions across streams may find it by.
    #[schemars(with = "Vec<String>")]
    pub tags: Vec<Tag>,
    /// As it was appended.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub payload: Box<RawValue>,
}

impl TryFrom<RecordedEvent> for EventRecord {
    type Error = serde_json::Error;

    /// Fails if the payload is no JSON, which the log does not hold.
    fn try_from(event: RecordedEvent) -> Result<Self, serde_json::Error> {
        Ok(Self {
            position: event.position,
            recorded_at: event.recorded_at,
            event_id: event.id,
            r#type: event.event_type.to_string(),
            stream: event.stream,
            version: event.version,
            command_id: event.command_id,
            correlation_id: event.metadata.correlation_id,
            causation_id: event.metadata.causation_id,
            actor: event.metadata.actor,
            tenant: event.metadata.tenant,
            trace: event.metadata.trace,
            tags: event.tags,
            payload: RawValue::from_string(event.payload)?,
        })
    }
}

/// Times as the log keeps them.
pub(super) fn microseconds<S: Serializer>(
    time: &DateTime<Utc>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
}
