//! The domain's aggregates and events, as the event store's repository works with them.

use domain::{Event, STATE_VERSION, State};
use eventstore::aggregate::{Aggregate, CodecError, DomainEvent, SnapshotPolicy};
use eventstore::{EventType, Tag};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{MessageLimit, codec, sealing};

/// An aggregate of any kind; nothing before anything has happened to it.
#[derive(Debug, Clone)]
pub(crate) struct AnyAggregate(pub(crate) Option<State>);

impl Serialize for AnyAggregate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut value = serde_json::to_value(&self.0).map_err(S::Error::custom)?;
        sealing::seal_value(&mut value).map_err(S::Error::custom)?;
        value.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AnyAggregate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        let json = sealing::open(json.get()).map_err(D::Error::custom)?;
        serde_json::from_str(&json).map(Self).map_err(D::Error::custom)
    }
}

impl Aggregate for AnyAggregate {
    type Event = AnyEvent;

    /// A hundred events are read in about a millisecond.
    const SNAPSHOTS: SnapshotPolicy = SnapshotPolicy::every(100, STATE_VERSION);

    fn initial() -> Self {
        Self(None)
    }

    fn evolve(self, AnyEvent { event, .. }: &AnyEvent) -> Self {
        let state = self.0.or_else(|| State::initial(event.stream()));
        Self(state.map(|state| state.evolve(event)))
    }

    fn weight_bytes(&self) -> usize {
        size_of::<Self>() + self.0.as_ref().map_or(0, State::heap_bytes)
    }
}

/// An event of any context.
#[derive(Debug, Clone)]
pub(crate) struct AnyEvent {
    pub(crate) event: Event,
    /// How large its public message may be, if it is to be appended.
    pub(crate) limit: MessageLimit,
}

impl DomainEvent for AnyEvent {
    fn event_type(&self) -> EventType {
        codec::event_type(self.event.payload_type())
    }

    fn encode(&self) -> Result<String, CodecError> {
        self.limit.check(&self.event)?;
        Ok(sealing::seal(self.event.encode()?)?)
    }

    fn decode(event_type: &EventType, payload: &str) -> Result<Self, CodecError> {
        let payload = sealing::open(payload)?;
        let event = Event::decode(&event_type.name, event_type.schema_version, &payload)?;
        Ok(Self { event, limit: MessageLimit::NONE })
    }

    fn tags(&self) -> Vec<Tag> {
        codec::tags(&self.event)
    }

    fn subject(&self) -> Option<String> {
        codec::subject(&self.event)
    }
}
