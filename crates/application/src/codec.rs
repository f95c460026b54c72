//! Between the domain's events and the store's.

use std::sync::{Arc, LazyLock};

use domain::ids::UserId;
use domain::{Claim, DecodeError, Event, Message, PayloadType, Stream};
use eventstore::evolution::{Evolution, Misshapen};
use eventstore::{Digests, EventId, EventType, Position, RecordedEvent, StreamId, Subject, Tag};

use crate::{access, sealing};

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
    /// It is no JSON.
    #[error("read as JSON")]
    Json(#[from] serde_json::Error),
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
/// one that became several, or none. What is personal in it stays closed: it has no value.
///
/// # Errors
/// [`Undecodable`]: its type is not known, or its payload does not fit its type.
pub fn decode(recorded: &RecordedEvent) -> Result<Vec<Event>, Undecodable> {
    let undecodable =
        |source| Undecodable { event_id: recorded.id, position: recorded.position, source };
    let shapes = EVOLUTION.read(recorded).map_err(|error| undecodable(error.into()))?;
    let events = shapes.into_iter().map(|(EventType { name, schema_version }, payload)| {
        let payload = sealing::close(&payload).map_err(|error| undecodable(error.into()))?;
        Event::decode(&name, schema_version, &payload).map_err(|error| undecodable(error.into()))
    });
    events.collect()
}

/// [`decode`], with what is personal opened; possible inside of
/// [`Keyring::open_events`](eventstore::Keyring::open_events) only.
pub(crate) fn open(recorded: &RecordedEvent) -> Result<Vec<Event>, DecodeEventError> {
    let shapes = EVOLUTION.read(recorded)?;
    let events = shapes.into_iter().map(|(EventType { name, schema_version }, payload)| {
        let payload = sealing::open(&payload)?;
        Ok(Event::decode(&name, schema_version, &payload)?)
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

/// What `event` can be found by, whoever it happened to.
pub(crate) fn tags(event: &Event) -> Vec<Tag> {
    match event {
        Event::Identity(event) => access::tag(event).into_iter().collect(),
        Event::Organizations(event) => access::tag_of_organization(event).into_iter().collect(),
        Event::Catalog(_) | Event::Inventory(_) | Event::Ordering(_) => Vec::new(),
    }
}

/// `claim` as that of the stream `id`: of what is personal only a digest.
///
/// # Errors
/// It is personal, and there are no keys.
pub(crate) fn claim(
    claim: Claim,
    id: &StreamId,
    digests: Option<&Digests>,
) -> Result<eventstore::Claim, WithoutKeys> {
    let Claim { namespace, value, subject: of } = claim;
    match (of, digests) {
        (None, _) => Ok(eventstore::Claim::new(namespace, value, id.clone())),
        (Some(user), Some(digests)) => {
            Ok(digests.claim(namespace, &value, id.clone(), personal_subject(user)))
        }
        (Some(_), None) => Err(WithoutKeys),
    }
}

/// Under which name personal data of a user is sealed.
#[expect(clippy::expect_used, reason = "a short word and a UUID are always a subject")]
pub(crate) fn personal_subject(user: UserId) -> Subject {
    Subject::new(format!("user:{user}")).expect("subject of a user")
}

/// Something personal was to be kept, but this process has no keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("personal data takes keys, and there are none")]
pub struct WithoutKeys;

#[expect(clippy::expect_used, reason = "a category and a UUID are always a valid stream id")]
pub(crate) fn stream_id(stream: Stream) -> StreamId {
    StreamId::new(stream.to_string()).expect("stream id of the domain")
}
