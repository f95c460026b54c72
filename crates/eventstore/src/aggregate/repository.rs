//! Loads aggregates, decides on them and appends what follows.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use sqlx::PgConnection;

use super::cache::{Cache, Slot};
use super::decide::Held;
use super::loader::Loader;
use super::{Aggregate, Command, Decided, ExecuteError, LoadError, Loaded, States, snapshot};
use crate::answer::within;
use crate::evolution::Evolution;
use crate::{
    Append, AppendError, EventStore, ExpectedVersion, Keyring, Receipt, StreamId, StreamVersion,
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

/// Aggregates of one kind, or of a kind that is a sum of all kinds. Clones share the states in
/// memory.
pub struct Repository<A: Aggregate> {
    pub(super) loader: Loader,
    settings: Settings,
    pub(super) cache: Arc<Cache<A>>,
}

impl<A: Aggregate> Repository<A> {
    /// A repository on `store`, which reads events of old shapes by `evolution`.
    #[must_use]
    pub fn new(store: EventStore, evolution: Arc<Evolution>, settings: Settings) -> Self {
        let cache = Arc::new(Cache::of(settings.cache_bytes));
        Self { loader: Loader { store, evolution, keyring: None }, settings, cache }
    }

    /// Seals and opens personal data by `keyring`. States in memory are read anew after an erasure.
    #[must_use]
    pub fn with_keyring(self, keyring: Keyring) -> Self {
        Self { loader: Loader { keyring: Some(keyring), ..self.loader }, ..self }
    }

    /// The store it appends to.
    #[must_use]
    pub const fn store(&self) -> &EventStore {
        &self.loader.store
    }

    /// The state of the stream `id` as it is now.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub async fn load(&self, id: &StreamId) -> Result<Loaded<A>, LoadError> {
        let mut slots = self.cache.lock(std::slice::from_ref(id)).await;
        self.renew(&mut slots, |_| true).await?;
        self.settle(&slots);
        let loaded = slots.get(id).and_then(|slot| slot.as_ref().cloned());
        loaded.ok_or_else(|| unreachable_database(id, sqlx::Error::RowNotFound))
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
        command: &Command,
        decide: impl Fn(&A) -> Result<Vec<A::Event>, E>,
    ) -> Result<Receipt, ExecuteError<E>> {
        let decide = |states: &States<'_, A>| {
            let events = states.get(id).map_or_else(|| decide(&A::initial()), &decide)?;
            Ok(Decided::on(id, events))
        };
        self.execute_over(std::slice::from_ref(id), command, decide).await
    }

    /// [`Repository::execute`] over several streams: what is decided holds only if none of them
    /// has moved, also those that are not written.
    ///
    /// # Errors
    /// As [`Repository::execute`].
    pub async fn execute_over<E>(
        &self,
        ids: &[StreamId],
        command: &Command,
        decide: impl Fn(&States<'_, A>) -> Result<Decided<A::Event>, E>,
    ) -> Result<Receipt, ExecuteError<E>> {
        let mut slots = self.cache.lock(ids).await;
        let receipt = self.execute_on(&mut slots, command, decide).await;
        self.settle(&slots);
        receipt
    }

    async fn execute_on<E>(
        &self,
        slots: &mut BTreeMap<StreamId, Slot<A>>,
        command: &Command,
        decide: impl Fn(&States<'_, A>) -> Result<Decided<A::Event>, E>,
    ) -> Result<Receipt, ExecuteError<E>> {
        let (id, fingerprint) = (command.id, command.fingerprint);
        let is_missing =
            |slot: &Slot<A>| !slot.as_ref().is_some_and(|loaded| self.loader.holds(loaded));
        let mut is_fresh = slots.values().all(is_missing);
        self.renew(slots, is_missing).await?;
        let mut contended = None;
        for _ in 0..self.settings.attempts {
            let decided = match decide(&States(Held::InMemory(slots))) {
                Ok(decided) if is_fresh || !decided.is_empty() => decided,
                Err(rejection) if is_fresh => {
                    let known = self.store().repeated(id, fingerprint).await;
                    let known = known.map_err(ExecuteError::Append)?;
                    return known.ok_or(ExecuteError::Rejected(rejection));
                }
                // States that may be behind are no reason to do nothing.
                Ok(_) | Err(_) => {
                    self.renew(slots, |_| true).await?;
                    is_fresh = true;
                    continue;
                }
            };
            let versions = slots.iter().map(|(id, slot)| (id, version(slot)));
            let append = self.request(command, versions, &decided).await?;
            match self.store().append(append).await {
                Ok(receipt) => {
                    self.take_effect(slots, &receipt, &decided);
                    return Ok(receipt);
                }
                Err(
                    AppendError::Conflict { stream, .. }
                    | AppendError::ConditionFailed { stream, .. },
                ) => {
                    contended = Some(stream);
                    self.renew(slots, |_| true).await?;
                    is_fresh = true;
                }
                Err(error @ AppendError::Unconfirmed { .. }) => {
                    for slot in slots.values_mut() {
                        **slot = None;
                    }
                    let known = self.store().repeated(id, fingerprint).await;
                    return known.ok().flatten().ok_or(ExecuteError::Append(error));
                }
                Err(error) => return Err(ExecuteError::Append(error)),
            }
        }
        // Without a conflict a fresh decision was appended.
        let stream = contended.or_else(|| slots.keys().next().cloned());
        match stream {
            Some(stream) => Err(ExecuteError::Contended { stream }),
            None => Err(ExecuteError::Append(AppendError::Closed)),
        }
    }

    pub(super) async fn request<'a, E>(
        &self,
        command: &Command,
        versions: impl Iterator<Item = (&'a StreamId, StreamVersion)>,
        decided: &Decided<A::Event>,
    ) -> Result<Append, ExecuteError<E>> {
        let expect = |(id, version): (&StreamId, _)| (id.clone(), ExpectedVersion::Exact(version));
        let expectations = versions.map(expect).collect();
        Ok(Append {
            expectations,
            events: self.loader.encode(decided).await?,
            conditions: decided.conditions.clone(),
            claims: decided.claims.clone(),
            releases: decided.releases.clone(),
            ..Append::new(command.id, command.fingerprint, command.metadata.clone())
        })
    }

    /// Brings the states in memory to where the append has brought their streams.
    fn take_effect(
        &self,
        slots: &mut BTreeMap<StreamId, Slot<A>>,
        receipt: &Receipt,
        decided: &Decided<A::Event>,
    ) {
        for (id, version) in &receipt.streams {
            let Some(slot) = slots.get_mut(id) else { continue };
            let Some(loaded) = slot.take().filter(|_| !receipt.repeated) else { continue };
            let events = decided.events.iter().filter(|(of, _)| of == id);
            let state = events.fold(loaded.state, |state, (_, event)| state.evolve(event));
            let mut loaded =
                Loaded { state, version: *version, position: receipt.position, ..loaded };
            self.keep_if_due(id, &mut loaded);
            **slot = Some(loaded);
        }
    }

    /// Takes a snapshot if there were enough events since the last one, in the background; nothing
    /// depends on it.
    fn keep_if_due(&self, id: &StreamId, loaded: &mut Loaded<A>) {
        let every = A::SNAPSHOTS.every_events;
        if every == 0 || loaded.version.get() - loaded.snapshot.get() < every {
            return;
        }
        loaded.snapshot = loaded.version;
        let (by, id, loaded) = (self.loader.clone(), id.clone(), loaded.clone());
        tokio::spawn(async move {
            if let Err(error) = snapshot::keep(&by, &id, &loaded).await {
                tracing::warn!(stream.id = %id, error = %error, "a snapshot was not kept");
            }
        });
    }

    /// Brings the states of those slots that are `wanted` to where their streams are now.
    async fn renew(
        &self,
        slots: &mut BTreeMap<StreamId, Slot<A>>,
        wanted: impl Fn(&Slot<A>) -> bool,
    ) -> Result<(), LoadError> {
        let wanted: Vec<_> = slots.iter_mut().filter(|(_, slot)| wanted(slot)).collect();
        let Some((first, _)) = wanted.first() else { return Ok(()) };
        let connection = within(self.store().pool().acquire()).await;
        let mut connection = connection.map_err(|error| unreachable_database(first, error))?;
        self.renew_on(&mut connection, wanted.into_iter()).await
    }

    pub(super) async fn renew_on<'s>(
        &self,
        connection: &mut PgConnection,
        slots: impl Iterator<Item = (&'s StreamId, &'s mut Slot<A>)>,
    ) -> Result<(), LoadError> {
        for (id, slot) in slots {
            let mut loaded = self.loader.load(connection, id, slot.take()).await?;
            self.keep_if_due(id, &mut loaded);
            **slot = Some(loaded);
        }
        Ok(())
    }

    pub(super) fn settle(&self, slots: &BTreeMap<StreamId, Slot<A>>) {
        for (id, slot) in slots {
            self.cache.settle(id, slot);
        }
    }

    /// About how many bytes the states in memory take.
    #[must_use]
    pub fn cached_bytes(&self) -> u64 {
        self.cache.weight_bytes()
    }

    /// Forgets every state in memory.
    pub fn forget(&self) {
        self.cache.clear();
    }
}

fn version<A>(slot: &Slot<A>) -> StreamVersion {
    slot.as_ref().map_or(StreamVersion::START, |loaded| loaded.version)
}

fn unreachable_database(id: &StreamId, source: sqlx::Error) -> LoadError {
    LoadError::Database { stream: id.clone(), source }
}

impl<A: Aggregate> Clone for Repository<A> {
    fn clone(&self) -> Self {
        Self {
            loader: self.loader.clone(),
            settings: self.settings,
            cache: Arc::clone(&self.cache),
        }
    }
}

impl<A: Aggregate> fmt::Debug for Repository<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Repository").field("settings", &self.settings).finish_non_exhaustive()
    }
}
