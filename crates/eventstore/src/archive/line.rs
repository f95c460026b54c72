//! The lines of an archive, as JSON writes and reads them.
//!
//! Each is an object with one member, whose name says what it is. An unknown member is an error:
//! what is not understood must not be lost silently. Docs: docs/archive-format.md.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    CommandId, EventId, Filter, LogId, Position, RecordedEvent, StreamId, StreamVersion, Tag,
};

/// What the first line calls the format.
pub(super) const FORMAT: &str = "annals-log";

/// The version of the format that is written.
pub(super) const VERSION: u32 = 2;

/// The oldest version that is read: it knew no tenants.
pub(super) const OLDEST: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Line {
    Archive(Header),
    Event(Box<EventLine>),
    Command(CommandLine),
    Claim(ClaimLine),
    End(EndLine),
}

/// The first line: of which log this is, and what of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) format: String,
    pub(super) version: u32,
    pub(super) log: LogId,
    pub(super) after: Position,
    pub(super) filter: FilterLine,
}

impl Header {
    pub(super) fn new(log: LogId, after: Position, filter: &Filter) -> Self {
        let filter = FilterLine::of(filter);
        Self { format: FORMAT.to_owned(), version: VERSION, log, after, filter }
    }

    /// Whether everything of the log follows, not only some of its events.
    pub(super) fn is_archive(&self) -> bool {
        self.after == Position::START && self.filter == FilterLine::default()
    }
}

/// A [`Filter`], in one form whatever the order its parts were given in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct FilterLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    categories: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    types: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    causation_id: Option<Uuid>,
}

impl FilterLine {
    fn of(filter: &Filter) -> Self {
        let tags = filter.tags.iter().map(|tag| tag.as_str().to_owned());
        Self {
            categories: filter.categories.clone().map(sorted),
            types: filter.types.clone().map(sorted),
            tags: sorted(tags.collect()),
            actor: filter.actor.clone(),
            tenant: filter.tenant,
            correlation_id: filter.correlation_id,
            causation_id: filter.causation_id,
        }
    }
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort_unstable();
    texts.dedup();
    texts
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventLine {
    pub(super) position: Position,
    #[serde(with = "microseconds")]
    pub(super) recorded_at: DateTime<Utc>,
    pub(super) id: EventId,
    pub(super) stream: String,
    pub(super) version: StreamVersion,
    #[serde(rename = "type")]
    pub(super) event_type: String,
    pub(super) schema_version: i16,
    pub(super) command_id: CommandId,
    pub(super) correlation_id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) causation_id: Option<Uuid>,
    pub(super) actor: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tenant: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trace: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Vec<String>,
    /// Text, not JSON: a payload is kept byte for byte, and may have line breaks.
    pub(super) payload: String,
}

impl EventLine {
    pub(super) fn of(event: RecordedEvent) -> Self {
        Self {
            position: event.position,
            recorded_at: event.recorded_at,
            id: event.id,
            stream: event.stream.as_str().to_owned(),
            version: event.version,
            event_type: event.event_type.name.as_ref().to_owned(),
            schema_version: event.event_type.schema_version,
            command_id: event.command_id,
            correlation_id: event.metadata.correlation_id,
            causation_id: event.metadata.causation_id,
            actor: event.metadata.actor,
            tenant: event.metadata.tenant,
            trace: event.metadata.trace,
            tags: event.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
            payload: event.payload,
        }
    }

    /// Whether stream and tags are names, and the tags sorted, as an append would have them.
    pub(super) fn has_names(&self) -> bool {
        StreamId::new(self.stream.as_str()).is_ok()
            && self.tags.iter().all(|tag| Tag::new(tag.as_str()).is_ok())
            && self.tags.is_sorted_by(|one, next| one < next)
    }
}

/// The record of a command that took effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommandLine {
    pub(super) id: CommandId,
    #[serde(with = "hexadecimal")]
    pub(super) fingerprint: Vec<u8>,
    pub(super) first_position: Position,
    pub(super) last_position: Position,
    #[serde(with = "microseconds")]
    pub(super) recorded_at: DateTime<Utc>,
}

impl CommandLine {
    pub(super) fn has_events(&self) -> bool {
        self.first_position <= self.last_position
    }
}

/// A value that a stream holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClaimLine {
    pub(super) namespace: String,
    pub(super) value: String,
    pub(super) stream: String,
    /// Whose data it is, if it is somebody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
}

/// The last line: what came before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndLine {
    /// Up to here the log was looked at.
    pub(super) position: Position,
    /// Whether this is the whole log as it was at that position.
    pub(super) complete: bool,
    pub(super) events: u64,
    pub(super) commands: u64,
    pub(super) claims: u64,
    /// Of every byte before this line.
    #[serde(with = "hexadecimal")]
    pub(super) sha256: Vec<u8>,
}

/// Times as the log keeps them: to the microsecond, in UTC.
mod microseconds {
    use chrono::{DateTime, SecondsFormat, Timelike, Utc};
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(
        time: &DateTime<Utc>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<DateTime<Utc>, D::Error> {
        let time = DateTime::<Utc>::deserialize(deserializer)?;
        if time.nanosecond().is_multiple_of(1_000) {
            Ok(time)
        } else {
            Err(de::Error::custom("a time of the log has whole microseconds"))
        }
    }
}

mod hexadecimal {
    use std::fmt::Write as _;

    use serde::{Deserialize, Deserializer, Serializer, de};

    #[expect(clippy::ptr_arg, reason = "serde hands the field over as it is")]
    pub(super) fn serialize<S: Serializer>(
        bytes: &Vec<u8>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let pairs = text.as_bytes().chunks(2);
        let bytes = pairs.map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        });
        let bytes: Option<Vec<u8>> = bytes.collect();
        let bytes = bytes.filter(|bytes| bytes.len() == 32);
        bytes.ok_or_else(|| de::Error::custom("a digest has 64 digits, 0 to 9 and a to f"))
    }
}
