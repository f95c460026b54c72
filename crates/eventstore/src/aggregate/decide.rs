//! What a decision is made on, and what follows from it.

use std::collections::BTreeMap;

use super::cache::Slot;
use super::{Aggregate, Loaded};
use crate::{Claim, CommandId, Condition, Fingerprint, Metadata, StreamId, StreamVersion};

/// A command, apart from what it asks for: that is in the decision.
#[derive(Debug, Clone)]
pub struct Command {
    /// The same id again is the same command again (law 3).
    pub id: CommandId,
    /// What was asked, so that the same id with another body is refused.
    pub fingerprint: Fingerprint,
    /// Who asked, and why.
    pub metadata: Metadata,
}

/// The aggregates a decision is made on.
#[derive(Debug)]
pub struct States<'a, A>(pub(super) Held<'a, A>);

#[derive(Debug)]
pub(super) enum Held<'a, A> {
    InMemory(&'a BTreeMap<StreamId, Slot<A>>),
    OfTransaction(&'a BTreeMap<StreamId, Loaded<A>>),
}

impl<A: Aggregate> States<'_, A> {
    /// The state of the stream `id`; the initial one if nothing has happened, nothing if the
    /// command did not name it.
    #[must_use]
    pub fn get(&self, id: &StreamId) -> Option<&A> {
        self.loaded(id).map(|loaded| &loaded.state)
    }

    /// The version of the stream `id` that its state is of; the start if nothing has happened, or
    /// if the command did not name it.
    #[must_use]
    pub fn version(&self, id: &StreamId) -> StreamVersion {
        self.loaded(id).map_or(StreamVersion::START, |loaded| loaded.version)
    }

    fn loaded(&self, id: &StreamId) -> Option<&Loaded<A>> {
        match self.0 {
            Held::InMemory(slots) => slots.get(id)?.as_ref(),
            Held::OfTransaction(loaded) => loaded.get(id),
        }
    }
}

/// What follows from a decision: appended together, on condition that none of the streams the
/// command named has moved.
#[derive(Debug, Clone)]
pub struct Decided<E> {
    /// What happened, and on which of the named streams, in the order in which it enters the log.
    pub events: Vec<(StreamId, E)>,
    /// What must not have happened, besides.
    pub conditions: Vec<Condition>,
    /// The values that the streams take.
    pub claims: Vec<Claim>,
    /// The values that the streams give up.
    pub releases: Vec<Claim>,
}

impl<E> Decided<E> {
    /// `events` on the stream `id`, and nothing else.
    #[must_use]
    pub fn on(id: &StreamId, events: Vec<E>) -> Self {
        let events = events.into_iter().map(|event| (id.clone(), event)).collect();
        Self { events, ..Self::default() }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.conditions.is_empty()
            && self.claims.is_empty()
            && self.releases.is_empty()
    }
}

impl<E> Default for Decided<E> {
    fn default() -> Self {
        Self { events: vec![], conditions: vec![], claims: vec![], releases: vec![] }
    }
}
