//! The read model of orders: their lines, their status, their total.

mod apply;
mod queries;

pub use queries::{Order, OrderLine, Page, Shortage, Status, get, list};

use crate::Projection;

/// Orders as customers see them.
pub const ORDERS: Projection = Projection {
    name: "orders",
    version: 1,
    schema: include_str!("orders/v1.sql"),
    reads: &["ordering.order-placed", "ordering.order-confirmed", "ordering.order-rejected"],
    apply: |connection, entries| Box::pin(apply::apply(connection, entries)),
};
