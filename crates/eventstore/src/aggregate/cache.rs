//! States in memory, up to a budget of bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use quick_cache::Weighter;
use quick_cache::sync;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{Aggregate, Loaded};
use crate::StreamId;

/// What an entry takes besides the state: key, locks, links.
const ENTRY_BYTES: usize = 256;

/// The state of one stream, if it is in memory. Who decides on it holds the lock, so that those
/// who write one stream in one process wait for each other here instead of in conflicts.
pub(super) type Slot<A> = OwnedMutexGuard<Option<Loaded<A>>>;

#[derive(Debug)]
struct Entry<A> {
    slot: Arc<Mutex<Option<Loaded<A>>>>,
    weight_bytes: u64,
}

impl<A> Clone for Entry<A> {
    fn clone(&self) -> Self {
        Self { slot: Arc::clone(&self.slot), weight_bytes: self.weight_bytes }
    }
}

#[derive(Debug, Clone)]
struct ByBytes;

impl<A> Weighter<StreamId, Entry<A>> for ByBytes {
    fn weight(&self, _: &StreamId, entry: &Entry<A>) -> u64 {
        entry.weight_bytes
    }
}

/// States by stream; those not used for long go when the budget is spent.
pub(super) struct Cache<A>(sync::Cache<StreamId, Entry<A>, ByBytes>);

impl<A: Aggregate> Cache<A> {
    pub(super) fn of(budget_bytes: u64) -> Self {
        let expected = usize::try_from(budget_bytes / 1024).unwrap_or(usize::MAX).min(1 << 20);
        Self(sync::Cache::with_weighter(expected, budget_bytes, ByBytes))
    }

    /// The slots of `ids`, locked; empty where the state is not in memory. They are locked in the
    /// order of their ids, so that nobody waits in a circle.
    pub(super) async fn lock(&self, ids: &[StreamId]) -> BTreeMap<StreamId, Slot<A>> {
        let ids: BTreeSet<&StreamId> = ids.iter().collect();
        let mut slots = BTreeMap::new();
        for id in ids {
            slots.insert(id.clone(), self.slot(id).lock_owned().await);
        }
        slots
    }

    /// The slot of `id`, unless somebody else has it.
    pub(super) fn try_lock(&self, id: &StreamId) -> Option<Slot<A>> {
        self.slot(id).try_lock_owned().ok()
    }

    fn slot(&self, id: &StreamId) -> Arc<Mutex<Option<Loaded<A>>>> {
        let fresh =
            || Ok::<_, ()>(Entry { slot: Arc::default(), weight_bytes: weight::<A>(id, None) });
        match self.0.get_or_insert_with(id, fresh) {
            Ok(entry) => entry.slot,
            Err(()) => Arc::default(),
        }
    }

    /// Counts anew what the state in `slot` weighs.
    pub(super) fn settle(&self, id: &StreamId, slot: &Slot<A>) {
        let weight_bytes = weight(id, slot.as_ref());
        let slot = Arc::clone(OwnedMutexGuard::mutex(slot));
        self.0.insert(id.clone(), Entry { slot, weight_bytes });
    }

    /// What all states weigh together, in bytes.
    pub(super) fn weight_bytes(&self) -> u64 {
        self.0.weight()
    }

    /// Forgets every state.
    pub(super) fn clear(&self) {
        self.0.clear();
    }
}

fn weight<A: Aggregate>(id: &StreamId, loaded: Option<&Loaded<A>>) -> u64 {
    let state = loaded.map_or(0, |loaded| loaded.state.weight_bytes());
    u64::try_from(ENTRY_BYTES + id.as_str().len() + state).unwrap_or(u64::MAX)
}
