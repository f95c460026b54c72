//! Where a sealed value belongs.

use std::sync::Arc;

use crate::StreamId;

/// Where a sealed value belongs: it is part of what is authenticated, so a value that somebody
/// moved elsewhere does not open.
///
/// A stream keeps its name through replay, upcasting, export and restore, so the place of an event
/// is its stream, and no more: neither type nor field, which an upcaster may rename. Within one
/// stream and one subject, values can be exchanged by whoever can rewrite the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    kind: &'static str,
    name: Arc<str>,
}

impl Place {
    /// An event of `stream`.
    #[must_use]
    pub fn event(stream: &StreamId) -> Self {
        Self { kind: "event", name: stream.shared() }
    }

    /// Anything else that is kept, for example `snapshot:ordering.order-1`.
    ///
    /// The same text must be given to open it again.
    #[must_use]
    pub fn other(name: impl Into<Arc<str>>) -> Self {
        Self { kind: "other", name: name.into() }
    }

    pub(super) const fn kind(&self) -> &'static str {
        self.kind
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}
