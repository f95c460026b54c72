//! What the inventory tells the public.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::InventoryEvent;
use crate::ids::{OrderId, ProductId};
use crate::payload::public_payloads;
use crate::values::Quantity;

public_payloads! {
    /// Messages of the inventory. How stock is counted inside stays private.
    InventoryMessage {
        ReservationMade = "inventory.reservation-made" v 1,
        ReservationRefused = "inventory.reservation-refused" v 1,
    }
}

/// Everything the order asks for is set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationMade {
    /// The order.
    pub order_id: OrderId,
}

/// Nothing is set aside for the order, because something is short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationRefused {
    /// The order.
    pub order_id: OrderId,
    /// What was short.
    pub shortages: Vec<Shortage>,
}

/// A product of which less is available than an order asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shortage {
    /// The product.
    pub product_id: ProductId,
    /// How many the order asks for.
    pub requested: Quantity,
    /// How many there were.
    #[schemars(extend("maximum" = u64::MAX))]
    pub available: u64,
}

impl InventoryMessage {
    /// What the public learns of `event`.
    #[must_use]
    pub fn of(event: &InventoryEvent) -> Option<Self> {
        match event {
            InventoryEvent::StockReceived(_) | InventoryEvent::StockReserved(_) => None,
            InventoryEvent::ReservationMade(event) => {
                Some(Self::ReservationMade(ReservationMade { order_id: event.order_id }))
            }
            InventoryEvent::ReservationRefused(event) => {
                let shortages = event.shortages.iter().map(|short| Shortage {
                    product_id: short.product_id,
                    requested: short.requested,
                    available: short.available,
                });
                Some(Self::ReservationRefused(ReservationRefused {
                    order_id: event.order_id,
                    shortages: shortages.collect(),
                }))
            }
        }
    }
}
