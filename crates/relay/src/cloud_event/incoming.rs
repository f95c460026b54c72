//! Reads a message of the contract.

use std::fmt;
use std::str::FromStr;

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use chrono::{DateTime, Utc};
use eventstore::{LogId, OutboxPlace, Position, StreamVersion};
use uuid::Uuid;

use super::{CONTENT_TYPE, SOURCE_PREFIX, SPEC_VERSION, header};
use crate::Namespace;

/// What a message says, and in which shape; displayed as `ordering.order-placed.v1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageType {
    /// For example `ordering.order-placed`, without the namespace.
    pub name: String,
    /// Version of the data's shape, counted from 1.
    pub version: i16,
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.v{}", self.name, self.version)
    }
}

/// A message that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingMessage {
    /// The id of the event, or of the message that is none: the same message again has the same.
    pub id: Uuid,
    /// What it says, and in which shape.
    pub message_type: MessageType,
    /// The log it comes from.
    pub source: LogId,
    /// The stream of the event, or that the message is about, for example `ordering.order-…`.
    pub subject: String,
    /// The version of that stream: 1, 2, 3 …, though not every version is public.
    /// [`StreamVersion::START`] of a message that is no event.
    pub sequence: StreamVersion,
    /// The position in the log.
    pub position: Position,
    /// Of a message that is no event, its place behind the one at the position: 1, 2, 3 …
    pub ordinal: Option<u16>,
    /// It was held by the publisher and comes behind later ones of other streams.
    pub is_late: bool,
    /// When the event was recorded.
    pub time: DateTime<Utc>,
    /// The command it follows from.
    pub command_id: Uuid,
    /// The request that began the whole story.
    pub correlation_id: Uuid,
    /// The message that caused the command, if one did.
    pub causation_id: Option<Uuid>,
    /// Whose organization it belongs to; `None` if it belongs to none. Whatever follows from the
    /// message belongs there, too.
    pub tenant: Option<Uuid>,
    /// W3C traceparent: what it was published in, or else what its event was recorded in; for a
    /// handler, what it is handled in. Whatever follows from the message hangs under it.
    pub trace: Option<String>,
    /// JSON text, in the shape its type says.
    pub data: String,
}

/// What was received is no message of the contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MalformedMessage {
    /// A header is not there.
    #[error("header {name} is missing")]
    Missing {
        /// Its name.
        name: &'static str,
    },
    /// A header says what it must not.
    #[error("header {name} is {value:?}")]
    Invalid {
        /// Its name.
        name: &'static str,
        /// What it says.
        value: String,
    },
    /// The body is no UTF-8 text.
    #[error("the body is no text")]
    Body,
}

impl IncomingMessage {
    /// Reads `message`, which was sent in `namespace`.
    ///
    /// # Errors
    /// [`MalformedMessage`]: it is no message of the contract.
    pub fn parse(
        namespace: &Namespace,
        message: &async_nats::Message,
    ) -> Result<Self, MalformedMessage> {
        let empty = HeaderMap::new();
        let headers = Headers::of(message.headers.as_ref().unwrap_or(&empty));
        headers.exactly(header::SPEC_VERSION, SPEC_VERSION)?;
        headers.exactly(header::CONTENT_TYPE, CONTENT_TYPE)?;
        Ok(Self {
            id: headers.parse(header::ID)?,
            message_type: message_type(namespace, &headers)?,
            source: headers.log()?,
            subject: headers.get(header::SUBJECT)?.to_owned(),
            sequence: match headers.ordinal()? {
                None => StreamVersion::new(headers.count(header::SEQUENCE)?),
                Some(_) => StreamVersion::START,
            },
            position: headers.position()?,
            ordinal: headers.ordinal()?,
            is_late: headers.is_late(),
            time: headers.parse(header::TIME)?,
            command_id: headers.parse(header::COMMAND_ID)?,
            correlation_id: headers.parse(header::CORRELATION_ID)?,
            causation_id: headers.parse_optional(header::CAUSATION_ID)?,
            tenant: headers.parse_optional(header::TENANT)?,
            trace: headers
                .optional(header::TRACE_PARENT)
                .or_else(|| headers.optional(header::TRACE))
                .map(str::to_owned),
            data: String::from_utf8(message.payload.to_vec())
                .map_err(|_| MalformedMessage::Body)?,
        })
    }
}

/// The headers of a message, asked for by name.
pub(crate) struct Headers<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Headers<'a> {
    /// The first value of each of `headers`. There are few, and all are asked for: to look through a
    /// list is cheaper than to hash each name.
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let first = |(name, values): (&'a HeaderName, &'a Vec<HeaderValue>)| {
            Some((name.as_ref(), values.first()?.as_str()))
        };
        Self(headers.iter().filter_map(first).collect())
    }

    fn optional(&self, name: &'static str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn get(&self, name: &'static str) -> Result<&'a str, MalformedMessage> {
        self.optional(name).ok_or(MalformedMessage::Missing { name })
    }

    fn exactly(&self, name: &'static str, expected: &str) -> Result<(), MalformedMessage> {
        let value = self.get(name)?;
        if value == expected { Ok(()) } else { Err(invalid(name, value)) }
    }

    fn parse<T: FromStr>(&self, name: &'static str) -> Result<T, MalformedMessage> {
        let value = self.get(name)?;
        value.parse().map_err(|_| invalid(name, value))
    }

    fn parse_optional<T: FromStr>(
        &self,
        name: &'static str,
    ) -> Result<Option<T>, MalformedMessage> {
        self.optional(name).map(|_| self.parse(name)).transpose()
    }

    fn count(&self, name: &'static str) -> Result<i64, MalformedMessage> {
        let count = self.parse(name)?;
        if count >= 1 { Ok(count) } else { Err(invalid(name, self.get(name)?)) }
    }

    /// Its id.
    pub(crate) fn id(&self) -> Result<Uuid, MalformedMessage> {
        self.parse(header::ID)
    }

    /// The log it comes from.
    pub(crate) fn log(&self) -> Result<LogId, MalformedMessage> {
        let value = self.get(header::SOURCE)?;
        let id = value.strip_prefix(SOURCE_PREFIX).and_then(|id| id.parse().ok());
        id.map(LogId::new).ok_or_else(|| invalid(header::SOURCE, value))
    }

    /// Its place behind the event at its position, if it is none itself.
    fn ordinal(&self) -> Result<Option<u16>, MalformedMessage> {
        let ordinal = self.optional(header::ORDINAL).map(|_| self.parse(header::ORDINAL));
        match ordinal.transpose()? {
            Some(0 | u16::MAX) => Err(invalid(header::ORDINAL, self.get(header::ORDINAL)?)),
            ordinal => Ok(ordinal),
        }
    }

    /// Its place among all messages of the log.
    pub(crate) fn place(&self) -> Result<OutboxPlace, MalformedMessage> {
        Ok(OutboxPlace::within(self.position()?, self.ordinal()?.unwrap_or_default()))
    }

    /// Whether it was sent out of its place.
    pub(crate) fn is_late(&self) -> bool {
        self.optional(header::LATE).is_some()
    }

    /// Up to where everything was published or held when it was sent: its place, unless it is late.
    pub(crate) fn reached(&self) -> Result<OutboxPlace, MalformedMessage> {
        if !self.is_late() {
            return self.place();
        }
        let value = self.get(header::AFTER)?;
        let place = value.split_once('.').and_then(|(position, ordinal)| {
            let position = position.parse().ok().filter(|position| *position >= 0)?;
            Some(OutboxPlace::within(Position::new(position), ordinal.parse().ok()?))
        });
        place.ok_or_else(|| invalid(header::AFTER, value))
    }

    /// Its position in the log.
    fn position(&self) -> Result<Position, MalformedMessage> {
        Ok(Position::new(self.count(header::POSITION)?))
    }
}

fn message_type(
    namespace: &Namespace,
    headers: &Headers<'_>,
) -> Result<MessageType, MalformedMessage> {
    let value = headers.get(header::TYPE)?;
    let parts = namespace.strip(value).and_then(|name| name.rsplit_once(".v"));
    match parts.map(|(name, version)| (name, version.parse())) {
        Some((name, Ok(version))) if !name.is_empty() && version >= 1 => {
            Ok(MessageType { name: name.to_owned(), version })
        }
        _ => Err(invalid(header::TYPE, value)),
    }
}

fn invalid(name: &'static str, value: &str) -> MalformedMessage {
    MalformedMessage::Invalid { name, value: value.to_owned() }
}
