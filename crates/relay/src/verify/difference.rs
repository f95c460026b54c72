//! Where the stream is not what the log says.

use std::fmt;

use eventstore::OutboxPlace;
use uuid::Uuid;

/// Where the stream is not what the log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// A message is not in the stream, and later ones are.
    Missing {
        /// Where it belongs.
        place: OutboxPlace,
        /// Which.
        id: Uuid,
        /// On what it should have been sent.
        subject: String,
    },
    /// A message is in the stream a second time.
    Twice {
        /// Here.
        sequence: u64,
        /// Which.
        place: OutboxPlace,
        /// Its id.
        id: Uuid,
    },
    /// A message comes after later ones.
    OutOfOrder {
        /// Here.
        sequence: u64,
        /// Which.
        place: OutboxPlace,
        /// Its id.
        id: Uuid,
    },
    /// A message says something else than the log.
    OtherContent {
        /// Here.
        sequence: u64,
        /// Which.
        place: OutboxPlace,
        /// Its id.
        id: Uuid,
    },
    /// A message is not of this log.
    Foreign {
        /// Here.
        sequence: u64,
        /// On what it was sent.
        subject: String,
        /// Why it is not.
        reason: String,
    },
}

impl Difference {
    /// Its kind, for metrics.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "missing",
            Self::Twice { .. } => "twice",
            Self::OutOfOrder { .. } => "out-of-order",
            Self::OtherContent { .. } => "other-content",
            Self::Foreign { .. } => "foreign",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { place, id, subject } => {
                write!(f, "missing: {id} on {subject}, {}", At(place))
            }
            Self::Twice { sequence, place, id } => {
                write!(f, "twice: message {sequence} of the stream is {id} again, {}", At(place))
            }
            Self::OutOfOrder { sequence, place, id } => write!(
                f,
                "out of order: message {sequence} of the stream is {id}, {}, after later ones",
                At(place)
            ),
            Self::OtherContent { sequence, place, id } => write!(
                f,
                "other content: message {sequence} of the stream, {id}, {}, is not what the log says",
                At(place)
            ),
            Self::Foreign { sequence, subject, reason } => {
                write!(f, "foreign: message {sequence} of the stream, on {subject}: {reason}")
            }
        }
    }
}

/// A place, for people.
struct At<'a>(&'a OutboxPlace);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "position {}", self.0.position())?;
        match self.0.ordinal() {
            0 => Ok(()),
            ordinal => write!(f, " ordinal {ordinal}"),
        }
    }
}
