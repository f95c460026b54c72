//! The read model of products: what is offered, and how much of it is available.

mod document;
mod queries;

pub use queries::{After, Listing, Page, Product, Sort, get, list};

use crate::projection::id_of_stream;
use crate::{Projection, time_travel};

/// Products as customers see them.
pub const PRODUCTS: Projection = Projection {
    name: "products",
    version: 2,
    schema: include_str!("products/v2.sql"),
    reads: &[
        "catalog.product-listed",
        "catalog.product-repriced",
        "inventory.stock-received",
        "inventory.stock-reserved",
    ],
    key: id_of_stream,
    apply: |connection, entries| Box::pin(crate::document::apply::<Product>(connection, entries)),
    as_of: Some(time_travel::json::<Product>),
};
