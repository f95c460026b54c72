//! The keys that were used last.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::Subject;
use super::cipher::SubjectKey;

/// A bounded number of keys; the one that was not used for longest gives way.
pub(super) struct Cache {
    capacity: NonZeroUsize,
    keys: HashMap<Subject, (u64, Arc<SubjectKey>)>,
    by_use: BTreeMap<u64, Subject>,
    uses: u64,
}

impl Cache {
    pub(super) fn new(capacity: NonZeroUsize) -> Self {
        Self { capacity, keys: HashMap::new(), by_use: BTreeMap::new(), uses: 0 }
    }

    pub(super) fn get(&mut self, subject: &Subject) -> Option<Arc<SubjectKey>> {
        let (used, key) = self.keys.get_mut(subject)?;
        self.uses += 1;
        let name = self.by_use.remove(used)?;
        *used = self.uses;
        self.by_use.insert(self.uses, name);
        Some(Arc::clone(key))
    }

    pub(super) fn insert(&mut self, subject: Subject, key: Arc<SubjectKey>) {
        self.remove(&subject);
        if self.keys.len() >= self.capacity.get()
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.keys.remove(&oldest);
        }
        self.uses += 1;
        self.by_use.insert(self.uses, subject.clone());
        self.keys.insert(subject, (self.uses, key));
    }

    pub(super) fn remove(&mut self, subject: &Subject) {
        if let Some((used, _)) = self.keys.remove(subject) {
            self.by_use.remove(&used);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn what_was_not_used_for_longest_gives_way() {
        let subject = |number: u8| Subject::new(format!("s:{number}")).unwrap();
        let key = || Arc::new(SubjectKey { id: Uuid::nil(), bytes: Zeroizing::new([0; 32]) });
        let mut cache = Cache::new(NonZeroUsize::new(2).unwrap());
        cache.insert(subject(1), key());
        cache.insert(subject(2), key());
        assert!(cache.get(&subject(1)).is_some());
        cache.insert(subject(3), key());
        assert!(cache.get(&subject(2)).is_none(), "1 was used after it");
        assert!(cache.get(&subject(1)).is_some() && cache.get(&subject(3)).is_some());
        cache.insert(subject(3), key());
        cache.remove(&subject(1));
        assert_eq!((cache.keys.len(), cache.by_use.len()), (1, 1));
    }
}
