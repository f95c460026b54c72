//! Why an append was not acknowledged.

use std::sync::Arc;

use super::request::{MAX_EVENTS, MAX_MESSAGES, MAX_PAYLOAD_BYTES};
use crate::{CommandId, EventType, Position, StreamId, StreamVersion, Subject};

/// Why an append was not acknowledged.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// A stream is not where the decision was made: load and decide again.
    #[error("stream {stream} is at version {actual}, not where it was expected")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// Where it is.
        actual: StreamVersion,
    },
    /// Something happened that the decision did not know of: read again from where it had read to,
    /// and decide again.
    #[error("an event at position {position}, of stream {stream}, fails a condition")]
    ConditionFailed {
        /// The first such event.
        position: Position,
        /// Its stream.
        stream: StreamId,
    },
    /// Another stream holds a claimed value.
    #[error("a value of {namespace} is taken by stream {holder}")]
    ClaimTaken {
        /// What is unique.
        namespace: String,
        /// Who holds the value.
        holder: StreamId,
    },
    /// A claim is for a subject that is erased.
    #[error("the personal data of {subject} is erased, nothing can be claimed for it")]
    SubjectErased {
        /// The subject.
        subject: Subject,
    },
    /// The command id was used for something else.
    #[error("command {command_id} was given before with another body")]
    OtherBody {
        /// The command.
        command_id: CommandId,
    },
    /// More events than one append may hold.
    #[error("{events} events in one append, at most {MAX_EVENTS} are possible")]
    TooManyEvents {
        /// How many there were.
        events: usize,
    },
    /// A payload larger than one event may hold.
    #[error(
        "payload of {event_type} has {payload_bytes} bytes, at most {MAX_PAYLOAD_BYTES} are possible"
    )]
    PayloadTooLarge {
        /// Of which event.
        event_type: EventType,
        /// How large it was.
        payload_bytes: usize,
    },
    /// Messages without an event that they could stand behind.
    #[error("messages need an event in the same append, behind which they are told")]
    MessagesWithoutEvent,
    /// More messages than one append may hold.
    #[error("{messages} messages in one append, at most {MAX_MESSAGES} are possible")]
    TooManyMessages {
        /// How many there were.
        messages: usize,
    },
    /// Messages larger than those of one append may be.
    #[error(
        "the messages of one append have {body_bytes} bytes, at most {MAX_PAYLOAD_BYTES} are possible"
    )]
    MessagesTooLarge {
        /// How large they were together.
        body_bytes: usize,
    },
    /// The append names a stream twice.
    #[error("stream {stream} is named twice in one append")]
    RepeatedStream {
        /// The stream.
        stream: StreamId,
    },
    /// The append claims a value twice.
    #[error("a value of {namespace} is claimed twice in one append")]
    RepeatedClaim {
        /// Whose value.
        namespace: String,
    },
    /// An event or a claim is for a stream of which nothing is expected.
    #[error("nothing is expected of stream {stream}, to which an event or a claim belongs")]
    WithoutExpectation {
        /// The stream.
        stream: StreamId,
    },
    /// The database refused it; nothing was written.
    #[error("the database refused the append")]
    Refused {
        /// What the database said.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// The database could not be reached; nothing was sent.
    #[error("the database cannot be reached")]
    Unavailable {
        /// Why not.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// It was sent and no answer came: it may have been written, or be written yet. Give the same
    /// append again, which is safe (law 4). A [receipt](crate::EventStore::receipt) proves that it
    /// was written; none proves nothing.
    #[error("the append was sent, but no answer came")]
    Unconfirmed {
        /// What broke.
        #[source]
        source: Arc<sqlx::Error>,
    },
    /// The store was closed before the append was sent.
    #[error("the event store is closed")]
    Closed,
}

impl AppendError {
    pub(crate) fn no_outcome() -> Self {
        let message = "eventstore.append returned no outcome".to_owned();
        Self::Refused { source: Arc::new(sqlx::Error::Protocol(message)) }
    }
}
