//! What ordering tells the public.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OrderingEvent;
use crate::ids::{OrderId, ProductId};
use crate::payload::public_payloads;
use crate::values::{Money, Quantity, Sku};

public_payloads! {
    /// Messages of ordering.
    OrderingMessage {
        OrderPlaced = "ordering.order-placed" v 1,
        OrderConfirmed = "ordering.order-confirmed" v 1,
        OrderRejected = "ordering.order-rejected" v 1,
    }
}

/// A customer asks for products at the prices of that moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

/// Some of one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderLine {
    /// The product.
    pub product_id: ProductId,
    /// Its SKU.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// The price of one when the order was placed.
    pub unit_price: Money,
}

/// The order will be fulfilled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderConfirmed {
    /// The order.
    pub order_id: OrderId,
}

/// The order cannot be fulfilled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderRejected {
    /// The order.
    pub order_id: OrderId,
    /// The products that were short.
    pub short_of: Vec<ProductId>,
}

impl OrderingMessage {
    /// What the public learns of `event`.
    #[must_use]
    pub fn of(event: &OrderingEvent) -> Option<Self> {
        Some(match event {
            OrderingEvent::OrderPlaced(event) => Self::OrderPlaced(OrderPlaced {
                order_id: event.order_id,
                lines: event.lines.iter().map(OrderLine::from).collect(),
                total: event.total,
                placed_at: event.placed_at,
            }),
            OrderingEvent::OrderConfirmed(event) => {
                Self::OrderConfirmed(OrderConfirmed { order_id: event.order_id })
            }
            OrderingEvent::OrderRejected(event) => Self::OrderRejected(OrderRejected {
                order_id: event.order_id,
                short_of: event.shortages.iter().map(|short| short.product_id).collect(),
            }),
        })
    }
}

impl From<&super::OrderLine> for OrderLine {
    fn from(line: &super::OrderLine) -> Self {
        Self {
            product_id: line.product_id,
            sku: line.sku.clone(),
            quantity: line.quantity,
            unit_price: line.unit_price,
        }
    }
}
