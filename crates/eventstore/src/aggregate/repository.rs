//! Loads aggregates, decides on them and appends what follows.

use std::fmt;
use std::sync::Arc;

use futures_util::TryStreamExt;

use super::cache::{Slot, States};
use super::{Aggregate, CodecError, DomainEvent, Loaded, snapshot};
use crate::evolution::{Evolution, Misshapen};
use crate::{
    Append, AppendError, CommandId, EventId, EventStore, ExpectedVersion, Fingerprint, Metadata,
    NewEvent, Position, Receipt, RecordedEvent, StreamId, StreamSlice, StreamVersion,
};

/// How a repository works.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How many bytes the states in memory may take; 0 keeps none.
    pub cache_bytes: u64,
    /// How often a command is decided because somebody else was faster.
    pub attempts: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { cache_bytes: 64 * 1024 * 1024, attempts: 20 }
    }
}

/// Aggregates of one kind. Clones share the states in memory.
pub struct Repository<A: Aggregate> {
    store: EventStore,
    evolution: Arc<Evolution>,
    settings: Settings,
    states: Arc<States<A>>,
}

/// Why a state could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The database cannot be reached.
    #[error("read stream {stream}")]
    Database {
        /// The stream.
        stream: StreamId,
        /// What broke.
        #[source]
        source: sqlx::Error,
    },
    /// An event of an old shape is not what its type says.
    #[error(transparent)]
    Misshapen(#[from] Misshapen),
    /// An event cannot be read as one of today's types.
    #[error("read event {event_id}")]
    Undecodable {
        /// The event.
        event_id: EventId,
        /// What is wrong with it.
        #[source]
        source: CodecError,
    },
}

/// Why a command had no effect, or may have had.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<E> {
    /// The decision was no.
    #[error("rejected")]
    Rejected(E),
    /// Others changed the stream each time it was decided.
    #[error("others kept changing stream {stream}")]
    Contended {
        /// The stream.
        stream: StreamId,
    },
    /// The state could not be loaded; nothing was written.
    #[error("load")]
    Load(#[from] LoadError),
    /// An event cannot be written as JSON; nothing was written.
    #[error("encode")]
    Encode(#[source] CodecError),
    /// The store did not append it; see the variant for what that means.
    #[error("append")]
    Append(#[source] AppendError),
}

impl<A: Aggregate> Repository<A> {
    /// A repository on `store`, which reads events of old shapes by `evolution`.
    #[must_use]
    pub fn new(store: EventStore, evolution: Arc<Evolution>, settings: Settings) -> Self {
        let states = Arc::new(States::of(settings.cache_bytes));
        Self { store, evolution, settings, states }
    }

    /// The store it appends to.
    #[must_use]
    pub const fn store(&self) -> &EventStore {
        &self.store
    }

    /// The state of the stream `id` as it is now.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn load(&self, id: &StreamId) -> Result<Loaded<A>, LoadError> {
        let mut slot = self.states.lock(id).await;
        let loaded = self.renew(id, &mut slot).await?.clone();
        self.states.settle(id, &slot);
        Ok(loaded)
    }

    /// Decides on the state of the stream `id` and appends what follows, deciding again when
    /// others were faster.
    ///
    /// A command whose id took effect before gives the receipt of that time, whatever would be
    /// decided now (law 3). When the answer of the append is lost, the receipt is looked up once
    /// (law 4). Commands on one stream in one process are decided one after the other.
    ///
    /// # Errors
    /// See [`ExecuteError`]. Only [`AppendError::Unconfirmed`] leaves open whether it had effect;
    /// the same command again is safe.
    pub async fn execute<E>(
        &self,
        id: &StreamId,
        command: (CommandId, Fingerprint, Metadata),
        decide: impl Fn(&A) -> Result<Vec<A::Event>, E>,
    ) -> Result<Receipt, ExecuteError<E>> {
        let mut slot = self.states.lock(id).await;
        let receipt = self.execute_on(&mut slot, id, command, decide).await;
        self.states.settle(id, &slot);
        receipt
    }

    async fn execute_on<E>(
        &self,
        slot: &mut Slot<A>,
        id: &StreamId,
        (command_id, fingerprint, metadata): (CommandId, Fingerprint, Metadata),
        decide: impl Fn(&A) -> Result<Vec<A::Event>, E>,
    ) -> Result<Receipt, ExecuteError<E>> {
        let mut is_fresh = false;
        for _ in 0..self.settings.attempts {
            if slot.is_none() {
                self.renew(id, slot).await?;
                is_fresh = true;
            }
            let Some(loaded) = slot.as_ref() else { continue };
            let events = match decide(&loaded.state) {
                Ok(events) if is_fresh || !events.is_empty() => events,
                Err(rejection) if is_fresh => {
                    let known = self.store.repeated(command_id, fingerprint).await;
                    let known = known.map_err(ExecuteError::Append)?;
                    return known.ok_or(ExecuteError::Rejected(rejection));
                }
                // A state that may be behind is no reason to do nothing.
                Ok(_) | Err(_) => {
                    self.renew(id, slot).await?;
                    is_fresh = true;
                    continue;
                }
            };
            let append = Append {
                expectations: vec![(id.clone(), ExpectedVersion::Exact(loaded.version))],
                events: encode(id, &events).map_err(ExecuteError::Encode)?,
                ..Append::new(command_id, fingerprint, metadata.clone())
            };
            match self.store.append(append).await {
                Ok(receipt) => {
                    self.take_effect(id, slot, &receipt, &events);
                    return Ok(receipt);
                }
                Err(AppendError::Conflict { .. }) => {
                    self.renew(id, slot).await?;
                    is_fresh = true;
                }
                Err(error @ AppendError::Unconfirmed { .. }) => {
                    **slot = None;
                    let known = self.store.repeated(command_id, fingerprint).await;
                    return known.ok().flatten().ok_or(ExecuteError::Append(error));
                }
                Err(error) => return Err(ExecuteError::Append(error)),
            }
        }
        Err(ExecuteError::Contended { stream: id.clone() })
    }

    /// Brings the state in memory to where the append has brought the stream.
    fn take_effect(
        &self,
        id: &StreamId,
        slot: &mut Slot<A>,
        receipt: &Receipt,
        events: &[A::Event],
    ) {
        let Some(loaded) = slot.take().filter(|_| !receipt.repeated) else { return };
        let Some(version) = receipt.streams.first().map(|(_, version)| *version) else {
            **slot = Some(loaded);
            return;
        };
        let state = events.iter().fold(loaded.state, A::evolve);
        let position = receipt.position;
        let mut loaded = Loaded { state, version, position, snapshot: loaded.snapshot };
        let policy = A::SNAPSHOTS;
        let since = loaded.version.get() - loaded.snapshot.get();
        if policy.every_events > 0 && since >= policy.every_events {
            loaded.snapshot = loaded.version;
            let (store, id, kept) = (self.store.clone(), id.clone(), loaded.clone());
            tokio::spawn(async move {
                if let Err(error) = snapshot::keep(&store, &id, &kept).await {
                    tracing::warn!(stream.id = %id, error = %error, "a snapshot was not kept");
                }
            });
        }
        **slot = Some(loaded);
    }

    /// Brings the state in `slot` to where its stream is now.
    async fn renew<'s>(
        &self,
        id: &StreamId,
        slot: &'s mut Slot<A>,
    ) -> Result<&'s Loaded<A>, LoadError> {
        let failed = |source| LoadError::Database { stream: id.clone(), source };
        let mut loaded = match slot.take() {
            Some(loaded) => loaded,
            None => match snapshot::find(&self.store, id).await.map_err(failed)? {
                Some(snapshot) => snapshot,
                None => Loaded {
                    state: A::initial(),
                    version: StreamVersion::START,
                    position: Position::START,
                    snapshot: StreamVersion::START,
                },
            },
        };
        let rest = StreamSlice { after: loaded.position, ..StreamSlice::after(loaded.version) };
        let mut events = self.store.read_stream(id, rest);
        while let Some(event) = events.try_next().await.map_err(failed)? {
            (loaded.version, loaded.position) = (event.version, event.position);
            for event in self.decode(&event)? {
                loaded.state = loaded.state.evolve(&event);
            }
        }
        Ok(slot.insert(loaded))
    }

    fn decode(&self, recorded: &RecordedEvent) -> Result<Vec<A::Event>, LoadError> {
        let shapes = self.evolution.read(recorded)?.into_iter();
        let events = shapes.map(|(event_type, payload)| A::Event::decode(&event_type, &payload));
        events
            .collect::<Result<_, _>>()
            .map_err(|source| LoadError::Undecodable { event_id: recorded.id, source })
    }

    /// About how many bytes the states in memory take.
    #[must_use]
    pub fn cached_bytes(&self) -> u64 {
        self.states.weight_bytes()
    }

    /// Forgets every state in memory.
    pub fn forget(&self) {
        self.states.clear();
    }
}

fn encode<E: DomainEvent>(stream: &StreamId, events: &[E]) -> Result<Vec<NewEvent>, CodecError> {
    let new = |event: &E| {
        Ok(NewEvent {
            stream: stream.clone(),
            event_type: event.event_type(),
            tags: event.tags(),
            payload: event.encode()?,
            subject: event.subject(),
        })
    };
    events.iter().map(new).collect()
}

impl<A: Aggregate> Clone for Repository<A> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            evolution: Arc::clone(&self.evolution),
            settings: self.settings,
            states: Arc::clone(&self.states),
        }
    }
}

impl<A: Aggregate> fmt::Debug for Repository<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository").field("settings", &self.settings).finish_non_exhaustive()
    }
}
