//! Loads aggregates, decides on them and appends what follows.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use sqlx::PgConnection;

use super::cache::{Cache, Slot};
use super::loader::Loader;
use super::{Aggregate, LoadError, Loaded, snapshot};
use crate::answer::within;
use crate::evolution::Evolution;
use crate::{EventStore, Keyring, StreamId};

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
    pub(super) settings: Settings,
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
        let cache = Arc::new(Cache::of(self.settings.cache_bytes));
        Self { loader: Loader { keyring: Some(keyring), ..self.loader }, cache, ..self }
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
        let loaded = slots.get(id).and_then(|slot| slot.as_ref().cloned());
        loaded.ok_or_else(|| unreachable_database(id, sqlx::Error::RowNotFound))
    }

    /// Takes a snapshot if there were enough events since the last one, in the background; nothing
    /// depends on it.
    pub(super) fn keep_if_due(&self, id: &StreamId, loaded: &mut Loaded<A>) {
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
    pub(super) async fn renew(
        &self,
        slots: &mut BTreeMap<StreamId, Slot<A>>,
        wanted: impl Fn(&Slot<A>) -> bool,
    ) -> Result<(), LoadError> {
        let wanted: Vec<_> = slots.iter_mut().filter(|(_, slot)| wanted(slot)).collect();
        let Some((first, _)) = wanted.first() else { return Ok(()) };
        let connection = within(self.store().pool().acquire()).await;
        let mut connection = connection.map_err(|error| unreachable_database(first, error))?;
        self.renew_on(&mut connection, wanted).await
    }

    pub(super) async fn renew_on(
        &self,
        connection: &mut PgConnection,
        slots: Vec<(&StreamId, &mut Slot<A>)>,
    ) -> Result<(), LoadError> {
        let end = self.loader.end_for(connection, slots.iter().map(|(id, _)| *id)).await?;
        for (id, slot) in slots {
            let mut loaded = self.loader.load(connection, id, slot.take(), end).await?;
            self.keep_if_due(id, &mut loaded);
            // At once, so that the budget knows of it whatever becomes of the caller.
            **slot = Some(loaded);
            self.cache.settle(id, slot);
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
