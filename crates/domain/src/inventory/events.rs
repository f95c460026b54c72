//! What happens in the inventory.

use serde::{Deserialize, Serialize};

use crate::Stream;
use crate::ids::{OrderId, ProductId};
use crate::payload::payloads;
use crate::values::Quantity;

payloads! {
    /// Events of the inventory.
    InventoryEvent {
        StockReceived = "inventory.stock-received" v 1,
        StockReserved = "inventory.stock-reserved" v 1,
        ReservationMade = "inventory.reservation-made" v 1,
        ReservationRefused = "inventory.reservation-refused" v 1,
    }
}

/// More of a product is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockReceived {
    /// The product.
    pub product_id: ProductId,
    /// How many came.
    pub quantity: Quantity,
}

/// Some of a product is set aside for an order; less is available.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockReserved {
    /// The product.
    pub product_id: ProductId,
    /// The order it is set aside for.
    pub order_id: OrderId,
    /// How many were set aside.
    pub quantity: Quantity,
}

/// Everything an order asks for is set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReservationMade {
    /// The order.
    pub order_id: OrderId,
    /// What was set aside.
    pub lines: Vec<ReservedLine>,
}

/// Some of one product, set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReservedLine {
    /// The product.
    pub product_id: ProductId,
    /// How many.
    pub quantity: Quantity,
}

/// Nothing is set aside for an order, because something is short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReservationRefused {
    /// The order.
    pub order_id: OrderId,
    /// What was short.
    pub shortages: Vec<Shortage>,
}

/// A product of which less is available than an order asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shortage {
    /// The product.
    pub product_id: ProductId,
    /// How many the order asks for.
    pub requested: Quantity,
    /// How many there were.
    pub available: u64,
}

impl InventoryEvent {
    pub(crate) const fn stream(&self) -> Stream {
        match self {
            Self::StockReceived(event) => super::stock(event.product_id),
            Self::StockReserved(event) => super::stock(event.product_id),
            Self::ReservationMade(event) => super::reservation(event.order_id),
            Self::ReservationRefused(event) => super::reservation(event.order_id),
        }
    }
}
