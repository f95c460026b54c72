//! What an aggregate was at a moment.

use chrono::{DateTime, Utc};
use domain::State;
use eventstore::{
    Direction, EventStore, Moment, Position, RecordedEvent, StreamId, StreamSlice, StreamVersion,
};
use futures_util::TryStreamExt;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{AsOf, AuditError};

/// How far a stream had come at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Reached {
    /// Its version; 0 if nothing had happened yet.
    #[schemars(with = "i64")]
    pub version: StreamVersion,
    /// Where its last event is in the log.
    #[schemars(with = "Option<i64>")]
    pub position: Option<Position>,
    /// When its last event was recorded.
    #[serde(serialize_with = "optional_microseconds")]
    pub recorded_at: Option<DateTime<Utc>>,
}

/// What an aggregate was at a moment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StateAt {
    /// How far its stream had come.
    #[serde(flatten)]
    pub reached: Reached,
    /// Its state; null if nothing had happened yet.
    pub state: Value,
}

/// How far `stream` had come at a moment, or has come now.
///
/// # Errors
/// [`AuditError`]: there is no such stream, or the moment is not there yet.
pub async fn reached(
    store: &EventStore,
    stream: &StreamId,
    as_of: Option<AsOf>,
) -> Result<Reached, AuditError> {
    let newest = StreamSlice::backward();
    let end = last(store, stream, newest).await?;
    let end = end.ok_or_else(|| AuditError::NoStream(stream.clone()))?;
    let slice = match as_of {
        None => return Ok(Reached::by(Some(&end))),
        Some(AsOf::Time(time)) => StreamSlice { as_of: Some(Moment::Time(time)), ..newest },
        Some(AsOf::Position(asked)) => {
            let end = store.head().await?;
            if asked > end {
                return Err(AuditError::PositionNotReached { asked, end });
            }
            StreamSlice { as_of: Some(Moment::Position(asked)), ..newest }
        }
        Some(AsOf::Version(asked)) => {
            if asked > end.version {
                return Err(AuditError::VersionNotReached { asked, end: end.version });
            }
            StreamSlice { from: asked, to: asked, ..newest }
        }
    };
    Ok(Reached::by(last(store, stream, slice).await?.as_ref()))
}

/// What the aggregate of `stream` was at a moment, or is now.
///
/// # Errors
/// [`AuditError`].
pub async fn state(
    store: &EventStore,
    stream: &StreamId,
    as_of: Option<AsOf>,
) -> Result<StateAt, AuditError> {
    let mut fold = Fold::of(stream)?;
    let reached = reached(store, stream, as_of).await?;
    let mut events = store.read_stream(stream, up_to(reached.version));
    while let Some(event) = events.try_next().await? {
        fold.apply(&event)?;
    }
    Ok(StateAt { reached, state: fold.to_json()? })
}

/// The state that the next decision would be made on, event by event.
pub(super) struct Fold {
    initial: State,
    state: Option<State>,
}

impl Fold {
    pub(super) fn of(stream: &StreamId) -> Result<Self, AuditError> {
        let known: domain::Stream = stream.as_str().parse().map_err(AuditError::NoAggregate)?;
        let initial = State::initial(known);
        let initial = initial.ok_or_else(|| AuditError::NoStream(stream.clone()))?;
        Ok(Self { initial, state: None })
    }

    pub(super) fn apply(&mut self, recorded: &RecordedEvent) -> Result<(), AuditError> {
        for event in crate::decode(recorded)? {
            let state = self.state.take().unwrap_or_else(|| self.initial.clone());
            self.state = Some(state.evolve(&event));
        }
        Ok(())
    }

    /// Null if nothing has happened yet.
    pub(super) fn to_json(&self) -> Result<Value, serde_json::Error> {
        self.state.as_ref().map_or(Ok(Value::Null), State::to_json)
    }
}

pub(super) fn up_to(version: StreamVersion) -> StreamSlice {
    StreamSlice { to: version, direction: Direction::Forward, ..StreamSlice::ALL }
}

async fn last(
    store: &EventStore,
    stream: &StreamId,
    slice: StreamSlice,
) -> Result<Option<RecordedEvent>, sqlx::Error> {
    store.read_stream(stream, slice).try_next().await
}

impl Reached {
    fn by(last: Option<&RecordedEvent>) -> Self {
        Self {
            version: last.map(|event| event.version).unwrap_or_default(),
            position: last.map(|event| event.position),
            recorded_at: last.map(|event| event.recorded_at),
        }
    }
}

#[expect(clippy::ref_option, reason = "serde hands the field over as it is")]
fn optional_microseconds<S: serde::Serializer>(
    time: &Option<DateTime<Utc>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => super::record::microseconds(time, serializer),
        None => serializer.serialize_none(),
    }
}
