//! Domain events: private facts, as the log stores them.

use crate::catalog::CatalogEvent;
use crate::inventory::InventoryEvent;
use crate::ordering::OrderingEvent;
use crate::payload::payload_union;
use crate::{Claim, Stream};

payload_union! {
    /// A fact of any context.
    Event {
        /// What happened in the catalog.
        Catalog(CatalogEvent) in "catalog",
        /// What happened in the inventory.
        Inventory(InventoryEvent) in "inventory",
        /// What happened in ordering.
        Ordering(OrderingEvent) in "ordering",
    }
}

impl Event {
    /// The stream it belongs to.
    #[must_use]
    pub const fn stream(&self) -> Stream {
        match self {
            Self::Catalog(event) => event.stream(),
            Self::Inventory(event) => event.stream(),
            Self::Ordering(event) => event.stream(),
        }
    }

    /// The unique values its stream takes with it.
    #[must_use]
    pub fn claims(&self) -> Vec<Claim> {
        match self {
            Self::Catalog(event) => event.claims(),
            Self::Inventory(_) | Self::Ordering(_) => Vec::new(),
        }
    }
}
