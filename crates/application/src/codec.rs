//! Between the domain's events and the store's.

use std::sync::{Arc, LazyLock};

use domain::{Claim, DecodeError, Event, Message, PayloadType, Stream};
use eventstore::evolution::{Evolution, Misshapen};
use eventstore::{EventId, EventType, Position, RecordedEvent, StreamId};

/// An event of the log that today's types cannot read.
#[derive(Debug, thiserror::Error)]
#[error("read event {event_id} at position {position}")]
pub struct Undecodable {
    /// The event.
    pub event_id: EventId,
    /// Its place in the log.
    pub position: Position,
    /// What is wrong with it.
    #[source]
    pub source: DecodeEventError,
}

/// What is wrong with an event.
#[derive(Debug, thiserror::Error)]
pub enum DecodeEventError {
    /// It is of an old shape, and is not what its type says.
    #[error(transparent)]
    Misshapen(#[from] Misshapen),
    /// Its type is not known, or its payload does not fit its type.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

static EVOLUTION: LazyLock<Arc<Evolution>> = LazyLock::new(|| {
    let types = Event::types().map(event_type);
    Arc::new(Evolution::to(types))
});

/// How events of old shapes are read; none of today's has another one behind it yet.
#[must_use]
pub fn evolution() -> &'static Arc<Evolution> {
    &EVOLUTION
}

/// Reads a recorded event as what it is in today's domain: one event, unless its shape is an old
/// one that became several, or none.
///
/// # Errors
/// [`Undecodable`]: its type is not known, or its payload does not fit its type.
pub fn decode(recorded: &RecordedEvent) -> Result<Vec<Event>, Undecodable> {
    let undecodable =
        |source| Undecodable { event_id: recorded.id, position: recorded.position, source };
    let shapes = EVOLUTION.read(recorded).map_err(|error| undecodable(error.into()))?;
    let events = shapes.into_iter().map(|(EventType { name, schema_version }, payload)| {
        Event::decode(&name, schema_version, &payload).map_err(|error| undecodable(error.into()))
    });
    events.collect()
}

pub(crate) fn event_type(of: PayloadType) -> EventType {
    EventType::new(of.name, of.version)
}

/// On which subject the public is told of `event`.
pub(crate) fn subject(event: &Event) -> Option<String> {
    Message::of(event).map(|message| message.payload_type().to_string())
}

/// `claim` as that of the stream `id`.
pub(crate) fn claim(claim: Claim, id: &StreamId) -> eventstore::Claim {
    eventstore::Claim::new(claim.namespace, claim.value, id.clone())
}

#[expect(clippy::expect_used, reason = "a category and a UUID are always a valid stream id")]
pub(crate) fn stream_id(stream: Stream) -> StreamId {
    StreamId::new(stream.to_string()).expect("stream id of the domain")
}
