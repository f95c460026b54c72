//! Domain events: private facts, as the log stores them.

use crate::catalog::CatalogEvent;
use crate::identity::IdentityEvent;
use crate::inventory::InventoryEvent;
use crate::ordering::OrderingEvent;
use crate::organizations::OrganizationEvent;
use crate::payload::payload_union;
use crate::{Claim, Stream};

payload_union! {
    /// A fact of any context.
    Event {
        /// What happened in the catalog.
        Catalog(CatalogEvent) in "catalog",
        /// What happened to users, their sessions and roles.
        Identity(IdentityEvent) in "identity",
        /// What happened in the inventory.
        Inventory(InventoryEvent) in "inventory",
        /// What happened in ordering.
        Ordering(OrderingEvent) in "ordering",
        /// What happened to organizations.
        Organizations(OrganizationEvent) in "organizations",
    }
}

impl Event {
    /// The stream it belongs to.
    #[must_use]
    pub fn stream(&self) -> Stream {
        match self {
            Self::Catalog(event) => event.stream(),
            Self::Identity(event) => event.stream(),
            Self::Inventory(event) => event.stream(),
            Self::Ordering(event) => event.stream(),
            Self::Organizations(event) => event.stream(),
        }
    }

    /// The unique values its stream takes with it.
    #[must_use]
    pub fn claims(&self) -> Vec<Claim> {
        match self {
            Self::Catalog(event) => event.claims(),
            Self::Identity(event) => event.claims(),
            Self::Inventory(_) | Self::Ordering(_) | Self::Organizations(_) => Vec::new(),
        }
    }

    /// The unique values its stream gives up with it.
    #[must_use]
    pub fn releases(&self) -> Vec<Claim> {
        match self {
            Self::Identity(event) => event.releases(),
            Self::Catalog(_) | Self::Inventory(_) | Self::Ordering(_) | Self::Organizations(_) => {
                Vec::new()
            }
        }
    }
}
