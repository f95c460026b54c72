//! Which events of the log a reader wants.

use uuid::Uuid;

use crate::{RecordedEvent, Tag};

/// Which events of the log a reader wants: those that pass every part; a part left out passes all.
///
/// Tags have an index. The other parts are looked at event by event, some hundred thousand a
/// second, in the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of streams of one of these categories: what stands before the first hyphen of their name.
    pub categories: Option<Vec<String>>,
    /// Of one of these types.
    pub types: Option<Vec<String>>,
    /// With all of these tags.
    pub tags: Vec<Tag>,
    /// Asked for by this actor.
    pub actor: Option<String>,
    /// Of this tenant.
    pub tenant: Option<Uuid>,
    /// Of the story that this request began.
    pub correlation_id: Option<Uuid>,
    /// Caused by this message.
    pub causation_id: Option<Uuid>,
}

impl Filter {
    /// Passes every event.
    #[must_use]
    pub fn everything() -> Self {
        Self::default()
    }

    /// Passes events of one of `types`.
    #[must_use]
    pub fn types<T: Into<String>>(types: impl IntoIterator<Item = T>) -> Self {
        let types = Some(types.into_iter().map(Into::into).collect());
        Self { types, ..Self::default() }
    }

    /// Whether it passes every event.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it passes `event`.
    #[must_use]
    pub fn passes(&self, event: &RecordedEvent) -> bool {
        let category = event.stream.category();
        let one_of = |wanted: &Option<Vec<String>>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|wanted| wanted == found))
        };
        one_of(&self.categories, category)
            && one_of(&self.types, &event.event_type.name)
            && self.tags.iter().all(|tag| event.tags.contains(tag))
            && self.actor.as_ref().is_none_or(|actor| *actor == event.metadata.actor)
            && self.tenant.is_none_or(|id| Some(id) == event.metadata.tenant)
            && self.correlation_id.is_none_or(|id| id == event.metadata.correlation_id)
            && self.causation_id.is_none_or(|id| Some(id) == event.metadata.causation_id)
    }
}
