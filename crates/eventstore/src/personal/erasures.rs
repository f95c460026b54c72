//! What this process knows to be erased.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use super::Subject;

/// The subjects erased since this keyring was opened.
///
/// Every value that was opened asks here before it shows itself, so one that is kept in memory, in
/// whatever cache, reads as erased as soon as this process knows. Nothing is ever erased in most
/// runs, so a number is looked at first.
#[derive(Debug, Default)]
pub(super) struct Erasures {
    count: AtomicU64,
    subjects: RwLock<HashSet<Subject>>,
}

impl Erasures {
    /// How many there were; to be taken before the key of a value is looked for.
    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Whether `subject` was erased, given that it was not when there were `before`.
    pub(super) fn contains_since(&self, before: u64, subject: &Subject) -> bool {
        self.count() != before && self.contains(subject)
    }

    pub(super) fn contains(&self, subject: &Subject) -> bool {
        self.count() != 0
            && self.subjects.read().unwrap_or_else(PoisonError::into_inner).contains(subject)
    }

    /// Adds `subject`; `count` changes only when it can be found.
    pub(super) fn add(&self, subject: &Subject) {
        let mut subjects = self.subjects.write().unwrap_or_else(PoisonError::into_inner);
        if subjects.insert(subject.clone()) {
            self.count.fetch_add(1, Ordering::Release);
        }
    }
}
