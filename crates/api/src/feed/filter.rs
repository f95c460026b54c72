//! Which messages a connection wants.

use eventstore::StreamId;

use super::segment::Entry;

/// Messages of one of some types and about one of some streams; a part left out passes all.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    types: Option<Vec<String>>,
    /// Sorted.
    subjects: Option<Vec<StreamId>>,
}

impl Filter {
    pub(super) fn new(types: Option<Vec<String>>, mut subjects: Option<Vec<StreamId>>) -> Self {
        if let Some(subjects) = &mut subjects {
            subjects.sort_unstable();
        }
        Self { types, subjects }
    }

    pub(super) fn passes(&self, entry: &Entry) -> bool {
        // Of what nobody can read the type is not known: it may be one of those.
        let types = self.types.as_ref().zip(entry.message_type.as_deref());
        let subjects = self.subjects.as_ref();
        types.is_none_or(|(types, of)| types.iter().any(|wanted| wanted == of))
            && subjects.is_none_or(|subjects| subjects.binary_search(&entry.subject).is_ok())
    }

    /// What the log is read through for it: fewer events than all, if that is possible, and never
    /// too few.
    pub(super) fn of_log(&self) -> eventstore::Filter {
        let categories = self.subjects.as_ref().map(|subjects| {
            let mut categories: Vec<_> =
                subjects.iter().map(|subject| subject.category().to_owned()).collect();
            categories.sort_unstable();
            categories.dedup();
            categories
        });
        eventstore::Filter { categories, ..eventstore::Filter::default() }
    }
}
