//! Between the domain's events and the store's.

use domain::{DecodeError, Event, Message, Stream};
use eventstore::evolution::Evolution;
use eventstore::{Claim, EventId, EventType, NewEvent, Position, RecordedEvent, StreamId};

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
    pub source: DecodeError,
}

/// The shapes of events that today's domain knows; none of them has another one behind it yet.
#[must_use]
pub fn evolution() -> Evolution {
    let types = Event::types().map(|known| EventType::new(known.name, known.version));
    Evolution::to(types)
}

/// Reads a recorded event as an event of the domain.
///
/// # Errors
/// [`Undecodable`]: its type is not known, or its payload does not fit its type.
pub fn decode(recorded: &RecordedEvent) -> Result<Event, Undecodable> {
    let EventType { name, schema_version } = &recorded.event_type;
    Event::decode(name, *schema_version, &recorded.payload).map_err(|source| Undecodable {
        event_id: recorded.id,
        position: recorded.position,
        source,
    })
}

/// Writes an event of the domain as an event to append, with what the public is told of it.
pub(crate) fn encode(event: &Event) -> Result<NewEvent, serde_json::Error> {
    let event_type = event.payload_type();
    Ok(NewEvent {
        stream: stream_id(event.stream()),
        event_type: EventType::new(event_type.name, event_type.version),
        tags: Vec::new(),
        payload: event.encode()?,
        subject: Message::of(event).map(|message| message.payload_type().to_string()),
    })
}

pub(crate) fn claims(event: &Event) -> impl Iterator<Item = Claim> {
    let stream = stream_id(event.stream());
    let claims = event.claims().into_iter();
    claims.map(move |claim| Claim::new(claim.namespace, claim.value, stream.clone()))
}

#[expect(clippy::expect_used, reason = "a category and a UUID are always a valid stream id")]
pub(crate) fn stream_id(stream: Stream) -> StreamId {
    StreamId::new(stream.to_string()).expect("stream id of the domain")
}
