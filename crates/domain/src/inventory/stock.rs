//! The stock aggregate: how much of one product is available.

use serde::{Deserialize, Serialize};

use super::{InventoryEvent, StockReceived};
use crate::ids::{OrderId, ProductId};
use crate::values::Quantity;
use crate::{Aggregate, Aggregates, Decider, Event, Stream};

/// How much of one product there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    available: u64,
}

impl Stock {
    /// How many are not set aside for an order.
    #[must_use]
    pub const fn available(&self) -> u64 {
        self.available
    }
}

impl Aggregate for Stock {
    const CATEGORY: &'static str = super::STOCK;

    /// Saturates rather than wraps; a history this crate decided never reaches either end.
    fn evolve(self, event: &Event) -> Self {
        let available = match event {
            Event::Inventory(InventoryEvent::StockReceived(event)) => {
                self.available.saturating_add(u64::from(event.quantity.get()))
            }
            Event::Inventory(InventoryEvent::StockReserved(event)) => {
                self.available.saturating_sub(u64::from(event.quantity.get()))
            }
            Event::Inventory(
                InventoryEvent::ReservationMade(_) | InventoryEvent::ReservationRefused(_),
            )
            | Event::Catalog(_)
            | Event::Identity(_)
            | Event::Ordering(_)
            | Event::Organizations(_) => self.available,
        };
        Self { available }
    }
}

/// Take in more of a product.
#[derive(Debug, Clone, Copy)]
pub struct ReceiveStock {
    /// The product.
    pub product_id: ProductId,
    /// How many came.
    pub quantity: Quantity,
}

/// Why a command on the inventory was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// An order reserves once.
    #[error("order {0} has its reservation already, for other lines")]
    AlreadyReserved(OrderId),
}

impl Decider for ReceiveStock {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::stock(self.product_id)]
    }

    fn decide(&self, _: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { product_id, quantity } = *self;
        Ok(vec![InventoryEvent::from(StockReceived { product_id, quantity }).into()])
    }
}
