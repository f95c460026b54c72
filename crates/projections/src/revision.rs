//! Which state of a document it is.

use eventstore::{Position, RecordedEvent, StreamVersion};
use serde::Serialize;

/// Tells one state of a document from every other: no two have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Revision {
    /// Of the stream of the aggregate that the document shows, which commands may be bound to.
    pub version: StreamVersion,
    /// Of the event that changed the document last, which may be one of another stream.
    pub position: Position,
}

impl Revision {
    /// After `event` of the document's own stream.
    #[must_use]
    pub const fn of(event: &RecordedEvent) -> Self {
        Self { version: event.version, position: event.position }
    }

    /// After `event` of another stream.
    #[must_use]
    pub const fn moved_by(self, event: &RecordedEvent) -> Self {
        Self { version: self.version, position: event.position }
    }
}
