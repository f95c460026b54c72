//! What happens in ordering.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Stream;
use crate::ids::{OrderId, ProductId};
use crate::payload::payloads;
use crate::values::{Money, ProductName, Quantity, Sku};

payloads! {
    /// Events of ordering.
    OrderingEvent {
        OrderPlaced = "ordering.order-placed" v 1,
        OrderConfirmed = "ordering.order-confirmed" v 1,
        OrderRejected = "ordering.order-rejected" v 1,
    }
}

/// A customer asks for products at the prices of that moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderPlaced {
    /// The order.
    pub order_id: OrderId,
    /// What is asked for; no product twice.
    pub lines: Vec<OrderLine>,
    /// The sum of all lines.
    pub total: Money,
    /// When the customer asked.
    pub placed_at: DateTime<Utc>,
}

/// Some of one product, as it was offered when the order was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderLine {
    /// The product.
    pub product_id: ProductId,
    /// Its SKU.
    pub sku: Sku,
    /// What people called it.
    pub name: ProductName,
    /// How many.
    pub quantity: Quantity,
    /// The price of one.
    pub unit_price: Money,
}

/// Everything asked for is reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderConfirmed {
    /// The order.
    pub order_id: OrderId,
}

/// The order cannot be fulfilled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRejected {
    /// The order.
    pub order_id: OrderId,
    /// What was short.
    pub shortages: Vec<Shortage>,
}

/// A product of which less was available than the order asks for.
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

impl OrderingEvent {
    pub(crate) const fn stream(&self) -> Stream {
        match self {
            Self::OrderPlaced(event) => super::order(event.order_id),
            Self::OrderConfirmed(event) => super::order(event.order_id),
            Self::OrderRejected(event) => super::order(event.order_id),
        }
    }
}
