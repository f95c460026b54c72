//! Reading: streams and the log, in order, in bounded memory.
//!
//! - [`crate::EventStore::read_stream`]: one stream, forward or backward, between versions, as of a
//!   [`Moment`].
//! - [`crate::EventStore::read_log`]: the log between positions, through a [`Filter`].
//! - [`crate::EventStore::read_page`]: one page of it, for those who keep a position of their own.
//!
//! What a reader sees is always a prefix of the log (law 2), so pages read one after another are
//! as good as one snapshot.

mod filter;
mod log;
mod matching;
mod outbound;
mod outbox;
mod page;
mod row;
mod stream;

use chrono::{DateTime, Utc};

use crate::append::Metadata;
use crate::{CommandId, EventId, EventType, Position, StreamId, StreamVersion, Tag};

pub use filter::Filter;
pub use outbound::{Outbound, OutboundMessage, OutboundPage, OutboxPlace, PageLimit};
pub use outbox::OutboxMessage;
pub use page::Page;
pub use stream::{Direction, Moment, StreamSlice};

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
    /// What decisions across streams may find it by, sorted.
    pub tags: Vec<Tag>,
    /// JSON text, byte for byte as it was appended.
    pub payload: String,
}
