//! The read model of orders: their lines, their status, their total.

mod document;
mod queries;

pub use queries::{Listing, Order, OrderLine, Page, Shortage, Status, get, list};

use crate::projection::id_of_stream;
use crate::{Projection, time_travel};

/// Orders as customers see them.
pub const ORDERS: Projection = Projection {
    name: "orders",
    version: 4,
    schema: include_str!("orders/v4.sql"),
    reads: &["ordering.order-placed", "ordering.order-confirmed", "ordering.order-rejected"],
    key: id_of_stream,
    apply: |connection, entries| Box::pin(crate::document::apply::<Order>(connection, entries)),
    as_of: Some(time_travel::json::<Order>),
};
