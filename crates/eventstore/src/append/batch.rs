//! Which of the waiting appends may share a call.

use std::sync::Arc;

use foldhash::{HashSet, HashSetExt};

use super::writer::Request;
use super::{Append, Claim};
use crate::{CommandId, StreamId, Tag};

/// What the appends of a batch, and those left behind before them, name and write.
#[derive(Default)]
pub(super) struct Batch {
    size: usize,
    commands: HashSet<CommandId>,
    named: HashSet<StreamId>,
    written: HashSet<StreamId>,
    claims: HashSet<(String, String)>,
    /// Only kept while somebody waits with a condition.
    events: Vec<(Arc<str>, Vec<Tag>)>,
}

impl Batch {
    /// Takes the requests that may share a call and leaves the others, both in their order.
    ///
    /// A stream that one request writes is named by no other, no command id or claim comes twice,
    /// and no event fails the condition of a later one. What a request left behind names is left to
    /// it, so that requests on one stream keep their order. What the batch `before`, still in
    /// flight, writes is left alone, too: nobody knows yet where it will be.
    pub(super) fn take_from(
        waiting: &mut Vec<Request>,
        most: usize,
        before: Option<&Self>,
    ) -> (Self, Vec<Request>) {
        let mut batch = Self::with_room_for(waiting.len());
        let with_conditions = waiting.iter().any(|request| !request.append.conditions.is_empty());
        let mut taken = Vec::with_capacity(waiting.len());
        let mut left = Vec::new();
        for request in waiting.drain(..) {
            let is_free = before.is_none_or(|before| before.leaves(&request.append));
            if taken.len() < most && batch.admits(&request.append, with_conditions) && is_free {
                taken.push(request);
            } else {
                left.push(request);
            }
        }
        *waiting = left;
        batch.size = taken.len();
        (batch, taken)
    }

    fn with_room_for(appends: usize) -> Self {
        Self {
            commands: HashSet::with_capacity(appends),
            named: HashSet::with_capacity(appends),
            written: HashSet::with_capacity(appends),
            ..Self::default()
        }
    }

    /// How many appends it has.
    pub(super) const fn len(&self) -> usize {
        self.size
    }

    /// Whether `append` names nothing that this batch writes.
    fn leaves(&self, append: &Append) -> bool {
        !append.expectations.iter().any(|(stream, _)| self.written.contains(stream))
    }

    fn admits(&mut self, append: &Append, with_conditions: bool) -> bool {
        let mut free = self.commands.insert(append.command_id);
        free &= !append.expectations.iter().any(|(stream, _)| self.written.contains(stream));
        free &= !append.events.iter().any(|event| self.named.contains(&event.stream));
        self.named.extend(append.expectations.iter().map(|(stream, _)| stream.clone()));
        self.written.extend(append.events.iter().map(|event| event.stream.clone()));
        let claims: HashSet<_> = append.claims.iter().chain(&append.releases).map(key).collect();
        free &= claims.is_disjoint(&self.claims);
        self.claims.extend(claims);
        free &= !append.conditions.iter().any(|condition| {
            self.events.iter().any(|(name, tags)| condition.query.matches(name, tags))
        });
        if with_conditions {
            let events = append.events.iter();
            self.events.extend(
                events.map(|event| (Arc::clone(&event.event_type.name), event.tags.clone())),
            );
        }
        free
    }
}

fn key(claim: &Claim) -> (String, String) {
    (claim.namespace.clone(), claim.value.clone())
}
