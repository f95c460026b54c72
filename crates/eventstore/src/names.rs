//! Ids, versions and positions, one type each so that they cannot be mixed up.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes `id` as this kind of id.
            #[must_use]
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The bare id.
            #[must_use]
            pub const fn get(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

macro_rules! counted_name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// Before the first.
            pub const START: Self = Self(0);

            /// Beyond any.
            pub const MAX: Self = Self(i64::MAX);

            /// Takes `number`, which counts from 1; 0 is before the first.
            #[must_use]
            pub const fn new(number: i64) -> Self {
                Self(number)
            }

            /// The bare number.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_name! {
    /// One event, for ever.
    EventId
}
uuid_name! {
    /// One command; the same id again is the same command again.
    CommandId
}
uuid_name! {
    /// One log, so that messages of another one are recognised.
    LogId
}
counted_name! {
    /// A place in the log: 1, 2, 3 … without gaps, in commit order (law 2).
    Position
}
counted_name! {
    /// A place in a stream: 1, 2, 3 … without gaps (law 2).
    StreamVersion
}

/// How many bits of an event's id hold its position: a trillion, or 10,000 a second for 3 years.
const POSITION_BITS: u32 = 40;

impl EventId {
    /// The id of the event at `position` of `log`: a UUIDv7 of the time it was recorded, whose
    /// free bits hold the position and 34 bits of the log's id.
    ///
    /// So an id needs no column and no index, is unique because positions are, sorts like the
    /// log, and leads to its event (docs/adr/0009-ids-from-positions.md).
    #[must_use]
    pub fn of(log: LogId, position: Position, recorded_at: DateTime<Utc>) -> Self {
        let milliseconds = recorded_at.timestamp_millis().unsigned_abs();
        let of_log = log.0.as_u128() & ((1 << 34) - 1);
        let counter = of_log << POSITION_BITS | u128::from(position.0.unsigned_abs());
        let upper = u128::from(milliseconds) << 80 | 0x7 << 76 | (counter >> 62) << 64;
        let lower = 0b10 << 62 | counter & ((1 << 62) - 1);
        Self(Uuid::from_u128(upper | lower))
    }

    /// The position that an id made by [`EventId::of`] holds; of any other id, some number.
    pub(crate) const fn position(self) -> Position {
        let position = (self.0.as_u128() & ((1 << POSITION_BITS) - 1)) as i64;
        Position(position)
    }
}

/// A short text that names something: 1 to 200 bytes, no control characters.
fn is_name(text: &str) -> bool {
    (1..=200).contains(&text.len()) && !text.chars().any(char::is_control)
}

macro_rules! text_name {
    ($(#[$doc:meta])* $name:ident, $invalid:ident: $what:literal) => {
        $(#[$doc])*
        ///
        /// 1 to 200 bytes, no control characters. Clones share the text.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes `text` as a name.
            ///
            /// # Errors
            /// It is empty, longer than 200 bytes or holds a control character.
            pub fn new(text: impl Into<Arc<str>>) -> Result<Self, $invalid> {
                let text = text.into();
                if is_name(&text) { Ok(Self(text)) } else { Err($invalid) }
            }

            /// A name that the log holds already.
            pub(crate) const fn recorded(text: Arc<str>) -> Self {
                Self(text)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        #[doc = concat!("The text is no ", $what, ".")]
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        #[error("a {} has 1 to 200 bytes and no control characters", $what)]
        pub struct $invalid;
    };
}

text_name! {
    /// The name of a stream: its category, a hyphen, and what it is within it.
    StreamId, InvalidStreamId: "stream id"
}

impl StreamId {
    /// What stands before the first hyphen: all of it, if there is none.
    #[must_use]
    pub fn category(&self) -> &str {
        self.0.split('-').next().unwrap_or_default()
    }

    /// The text, shared.
    pub(crate) fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

text_name! {
    /// What a decision across streams may ask for, for example `course:7`.
    Tag, InvalidTag: "tag"
}

/// What an event says, and in which shape. Clones share the name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventType {
    /// For example `ordering.order-placed`.
    pub name: Arc<str>,
    /// Version of the payload's shape, counted from 1.
    pub schema_version: i16,
}

impl EventType {
    /// The shape `schema_version` of what is called `name`.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, schema_version: i16) -> Self {
        Self { name: name.into(), schema_version }
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.v{}", self.name, self.schema_version)
    }
}
