//! Brings states to where their streams are.

use std::sync::Arc;

use sqlx::PgConnection;

use super::{Aggregate, Decided, DomainEvent, ExecuteError, LoadError, Loaded, snapshot};
use crate::answer::within;
use crate::evolution::Evolution;
use crate::{
    EventStore, Keyring, NewEvent, PersonalError, Place, Position, RecordedEvent, StreamId,
    StreamSlice, StreamVersion,
};

/// Reads what was recorded as today's code knows it, and writes it so.
#[derive(Clone)]
pub(super) struct Loader {
    pub(super) store: EventStore,
    pub(super) evolution: Arc<Evolution>,
    pub(super) keyring: Option<Keyring>,
}

impl Loader {
    /// Whether `loaded` may still be used. A new value of somebody who was erased since would stay
    /// readable in it.
    pub(super) fn holds<A>(&self, loaded: &Loaded<A>) -> bool {
        match (&self.keyring, loaded.opened) {
            (Some(keyring), Some(mark)) => keyring.holds(mark),
            (Some(_), None) => false,
            (None, _) => true,
        }
    }

    /// As far as which streams are to be read that shall be known of one moment.
    pub(super) async fn end_for<'a>(
        &self,
        connection: &mut PgConnection,
        mut ids: impl Iterator<Item = &'a StreamId>,
    ) -> Result<Position, LoadError> {
        let (Some(stream), Some(_)) = (ids.next(), ids.next()) else { return Ok(Position::MAX) };
        let end = within(EventStore::head_in(connection)).await;
        end.map_err(|source| LoadError::Database { stream: stream.clone(), source })
    }

    /// The state of the stream `id` as `connection` sees it, as far as `end`; from `known` on if it
    /// is given.
    pub(super) async fn load<A: Aggregate>(
        &self,
        connection: &mut PgConnection,
        id: &StreamId,
        known: Option<Loaded<A>>,
        end: Position,
    ) -> Result<Loaded<A>, LoadError> {
        let failed = |source| LoadError::Database { stream: id.clone(), source };
        // Before anything is opened, so that no erasure meanwhile is missed.
        let mark = self.keyring.as_ref().map(Keyring::mark);
        let mut loaded = match known.filter(|known| self.holds(known)) {
            Some(known) => known,
            None => match snapshot::find(self, connection, id, end).await? {
                Some(snapshot) => Loaded { opened: mark, ..snapshot },
                None => Loaded {
                    state: A::initial(),
                    version: StreamVersion::START,
                    position: Position::START,
                    snapshot: StreamVersion::START,
                    opened: mark,
                },
            },
        };
        let rest = StreamSlice { after: loaded.position, ..StreamSlice::after(loaded.version) };
        let mut rest = Some(rest);
        while let Some(slice) = rest {
            let page = self.store.read_stream_page(connection, id, slice, end);
            let page = within(page).await.map_err(failed)?;
            loaded.state = self.fold(connection, id, loaded.state, &page.events).await?;
            if let Some(last) = page.events.last() {
                (loaded.version, loaded.position) = (last.version, last.position);
            }
            rest = page.rest;
        }
        Ok(loaded)
    }

    async fn fold<A: Aggregate>(
        &self,
        connection: &mut PgConnection,
        id: &StreamId,
        state: A,
        page: &[RecordedEvent],
    ) -> Result<A, LoadError> {
        let decode = |recorded: &RecordedEvent| self.decode::<A::Event>(recorded);
        let events = match &self.keyring {
            None => page.iter().map(decode).collect::<Result<Vec<_>, _>>()?,
            Some(keyring) => {
                let opened = keyring.open_events_on(connection, page, decode).await;
                opened.map_err(|error| match error {
                    PersonalError::Codec(error) => error,
                    PersonalError::Keyring(source) => {
                        LoadError::Sealed { stream: id.clone(), source }
                    }
                })?
            }
        };
        Ok(events.iter().flatten().fold(state, A::evolve))
    }

    fn decode<E: DomainEvent>(&self, recorded: &RecordedEvent) -> Result<Vec<E>, LoadError> {
        let shapes = self.evolution.read(recorded)?.into_iter();
        let events = shapes.map(|(event_type, payload)| E::decode(&event_type, &payload));
        events
            .collect::<Result<_, _>>()
            .map_err(|source| LoadError::Undecodable { event_id: recorded.id, source })
    }

    /// What was written to the stream `id`, as it will be read: personal data that was new reads as
    /// erased once it is. Nothing if it cannot be read.
    pub(super) async fn reopen<E: DomainEvent>(
        &self,
        id: &StreamId,
        written: &[NewEvent],
    ) -> Option<Vec<E>> {
        let keyring = self.keyring.as_ref()?;
        let decode = || {
            let events = written.iter().filter(|event| event.stream == *id);
            events.map(|event| E::decode(&event.event_type, &event.payload)).collect()
        };
        keyring.open(&Place::event(id), decode).await.ok()
    }

    /// The events of `decided` as they are recorded.
    pub(super) async fn encode<E: DomainEvent, R>(
        &self,
        decided: &Decided<E>,
    ) -> Result<Vec<NewEvent>, ExecuteError<R>> {
        let mut encoded = Vec::with_capacity(decided.events.len());
        for (stream, event) in &decided.events {
            encoded.push(match &self.keyring {
                None => new(stream, event).map_err(ExecuteError::Encode)?,
                Some(keyring) => {
                    let sealed = keyring.seal(&Place::event(stream), || new(stream, event)).await;
                    sealed.map_err(|error| match error {
                        PersonalError::Codec(error) => ExecuteError::Encode(error),
                        PersonalError::Keyring(error) => ExecuteError::Seal(error),
                    })?
                }
            });
        }
        Ok(encoded)
    }
}

fn new<E: DomainEvent>(stream: &StreamId, event: &E) -> Result<NewEvent, super::CodecError> {
    Ok(NewEvent {
        stream: stream.clone(),
        event_type: event.event_type(),
        tags: event.tags(),
        payload: event.encode()?,
        subject: event.subject(),
    })
}
