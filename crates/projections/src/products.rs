//! The read model of products: what is offered, and how much of it is available.

mod apply;
mod queries;

pub use queries::{Page, Product, get, list};

use crate::Projection;

/// Products as customers see them.
pub const PRODUCTS: Projection = Projection {
    name: "products",
    version: 1,
    schema: include_str!("products/v1.sql"),
    reads: &["catalog.product-listed", "inventory.stock-received", "inventory.stock-reserved"],
    apply: |connection, entries| Box::pin(apply::apply(connection, entries)),
};
