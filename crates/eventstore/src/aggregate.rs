//! Aggregates: load, decide, append.
//!
//! An [`Aggregate`] is a state that is folded from the events of one stream. A [`Repository`]
//! loads one, or several together, lets a decision be made on them, and appends what follows, on
//! condition that none of the streams has moved; else it decides again. With a
//! [`Keyring`](crate::Keyring), personal data in events and snapshots is sealed and opened on the
//! way.
//!
//! To read less, a repository keeps states in memory, up to a budget of bytes, and takes
//! [snapshots](SnapshotPolicy). Neither can make a decision wrong: a state that is behind fails
//! the expected version of its append, and a decision that appends nothing is made again on a
//! state that was read just now.
//!
//! `examples/account.rs` is a whole program.

mod cache;
mod decide;
mod error;
mod execute;
mod loader;
mod repository;
mod snapshot;
mod transaction;

use std::error::Error;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::personal::Mark;
use crate::{EventType, Position, StreamVersion, Tag};

pub use decide::{Command, Decided, States};
pub use error::{ExecuteError, LoadError};
pub use repository::{Repository, Settings};

/// Why an event or a state could not be written or read as JSON.
pub type CodecError = Box<dyn Error + Send + Sync>;

/// An event as code knows it, in its shape of today.
pub trait DomainEvent: Sized + Send + Sync + 'static {
    /// What it is recorded as.
    fn event_type(&self) -> EventType;

    /// Writes the payload as JSON.
    ///
    /// # Errors
    /// It holds something JSON cannot say.
    fn encode(&self) -> Result<String, CodecError>;

    /// Reads a payload that was recorded as `event_type`, or was upcast to it.
    ///
    /// # Errors
    /// The type is not known, or the payload has another shape.
    fn decode(event_type: &EventType, payload: &str) -> Result<Self, CodecError>;

    /// What decisions across streams may find it by.
    fn tags(&self) -> Vec<Tag> {
        Vec::new()
    }

    /// If the public is told, on which subject.
    fn subject(&self) -> Option<String> {
        None
    }
}

/// A state that is folded from the events of one stream.
pub trait Aggregate: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What happens to it.
    type Event: DomainEvent;

    /// Whether and how snapshots are taken.
    const SNAPSHOTS: SnapshotPolicy = SnapshotPolicy::NEVER;

    /// The state before anything has happened.
    fn initial() -> Self;

    /// The state after `event`.
    #[must_use]
    fn evolve(self, event: &Self::Event) -> Self;

    /// About how many bytes the state takes in memory, with everything it owns.
    fn weight_bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// Whether and how snapshots are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// Counts the shapes of the state, and the meanings of its fold. A snapshot of another one is
    /// not used, and is overwritten by the next.
    pub schema_version: i32,
    /// After how many events since the last one; 0 for never.
    pub every_events: i64,
}

impl SnapshotPolicy {
    /// None are taken.
    pub const NEVER: Self = Self { schema_version: 0, every_events: 0 };

    /// Of shape `schema_version`, every `every_events` events.
    #[must_use]
    pub const fn every(every_events: i64, schema_version: i32) -> Self {
        Self { schema_version, every_events }
    }
}

/// A state, and where its stream was.
#[derive(Debug, Clone)]
pub struct Loaded<A> {
    /// The state.
    pub state: A,
    /// The version of the stream it is folded from; [`StreamVersion::START`] if there is none.
    pub version: StreamVersion,
    /// A position at which the stream was at this version.
    position: Position,
    /// The version of the last snapshot, as far as is known.
    snapshot: StreamVersion,
    /// When its personal data was opened, if it may have any.
    opened: Option<Mark>,
}
