//! Integration messages: public facts, as other systems read them.

use crate::Event;
use crate::catalog::messages::CatalogMessage;
use crate::identity::messages::IdentityMessage;
use crate::inventory::messages::InventoryMessage;
use crate::ordering::messages::OrderingMessage;
use crate::organizations::messages::OrganizationMessage;
use crate::payload::payload_union;

mod description;

pub use description::Description;

payload_union! {
    /// A public fact of any context. Its types change only by adding versions.
    Message {
        /// What the catalog tells.
        Catalog(CatalogMessage) in "catalog",
        /// What is told of users and their sessions.
        Identity(IdentityMessage) in "identity",
        /// What the inventory tells.
        Inventory(InventoryMessage) in "inventory",
        /// What ordering tells.
        Ordering(OrderingMessage) in "ordering",
        /// What is told of organizations and who belongs to them.
        Organizations(OrganizationMessage) in "organizations",
    }
}

impl Message {
    /// What describes each type to those who read it, in the order of [`Message::types`].
    #[must_use]
    pub fn descriptions() -> Vec<Description> {
        [
            CatalogMessage::descriptions(),
            IdentityMessage::descriptions(),
            InventoryMessage::descriptions(),
            OrderingMessage::descriptions(),
            OrganizationMessage::descriptions(),
        ]
        .concat()
    }

    /// What the public learns of `event`: one message, or nothing.
    ///
    /// Total and pure, so publishing, publishing again and replaying give the same message.
    #[must_use]
    pub fn of(event: &Event) -> Option<Self> {
        match event {
            Event::Catalog(event) => CatalogMessage::of(event).map(Self::Catalog),
            Event::Identity(event) => IdentityMessage::of(event).map(Self::Identity),
            Event::Inventory(event) => InventoryMessage::of(event).map(Self::Inventory),
            Event::Ordering(event) => OrderingMessage::of(event).map(Self::Ordering),
            Event::Organizations(event) => OrganizationMessage::of(event).map(Self::Organizations),
        }
    }
}
