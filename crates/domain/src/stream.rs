//! Names of streams: which aggregate an event belongs to.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The history of one aggregate, written `context.aggregate-uuid`,
/// for example `ordering.order-01943c5e-7b1a-7cc0-9d3f-2f6f3f0e8a11`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stream {
    category: &'static str,
    id: Uuid,
}

impl Stream {
    pub(crate) const fn new(category: &'static str, id: Uuid) -> Self {
        Self { category, id }
    }

    /// The kind of aggregate, for example `ordering.order`.
    #[must_use]
    pub const fn category(&self) -> &'static str {
        self.category
    }

    /// The aggregate's id.
    #[must_use]
    pub const fn id(&self) -> Uuid {
        self.id
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.category, self.id)
    }
}

impl FromStr for Stream {
    type Err = UnknownStream;

    /// Parses what `Display` writes; only categories of this domain are streams of it.
    fn from_str(text: &str) -> Result<Self, UnknownStream> {
        let unknown = || UnknownStream(text.to_owned());
        crate::CATEGORIES
            .iter()
            .find_map(|category| {
                let id = text.strip_prefix(category)?.strip_prefix('-')?;
                Some(Self::new(category, id.parse().ok()?))
            })
            .ok_or_else(unknown)
    }
}

/// The text names no stream of this domain.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} names no stream of this domain")]
pub struct UnknownStream(String);
