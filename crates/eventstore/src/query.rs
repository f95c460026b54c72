//! What a decision across streams asks the log for: types and tags.

use serde::Serialize;

use crate::Tag;

/// Events that match at least one of some items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query {
    items: Vec<QueryItem>,
}

/// Events that are of one of some types and have all of some tags.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct QueryItem {
    /// Names of event types; `None` for all.
    pub types: Option<Vec<String>>,
    /// The tags, all of which an event must have. Put the rarest first: it is what is looked up.
    pub tags: Vec<Tag>,
}

impl Query {
    /// Matches every event.
    #[must_use]
    pub fn everything() -> Self {
        Self { items: vec![QueryItem::default()] }
    }

    /// Matches nothing, until [`Query::or`] adds to it.
    #[must_use]
    pub const fn nothing() -> Self {
        Self { items: Vec::new() }
    }

    /// Matches what `item` does, too.
    #[must_use]
    pub fn or(mut self, item: QueryItem) -> Self {
        self.items.push(item);
        self
    }

    /// Its items.
    #[must_use]
    pub fn items(&self) -> &[QueryItem] {
        &self.items
    }

    /// Whether an event called `name` with `tags` matches.
    #[must_use]
    pub fn matches(&self, name: &str, tags: &[Tag]) -> bool {
        self.items.iter().any(|item| {
            item.types.as_ref().is_none_or(|types| types.iter().any(|known| known == name))
                && item.tags.iter().all(|tag| tags.contains(tag))
        })
    }
}

impl QueryItem {
    /// Events that have all of `tags`.
    #[must_use]
    pub fn tagged(tags: impl IntoIterator<Item = Tag>) -> Self {
        Self { types: None, tags: tags.into_iter().collect() }
    }

    /// Of these, only those that are of one of `types`.
    #[must_use]
    pub fn of_types<T: Into<String>>(mut self, types: impl IntoIterator<Item = T>) -> Self {
        self.types = Some(types.into_iter().map(Into::into).collect());
        self
    }
}
