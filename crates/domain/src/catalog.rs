//! The catalog: which products are offered, and at what price.

pub mod messages;

mod events;
mod product;
mod reprice;

pub use events::{CatalogEvent, ProductListed, ProductRepriced};
pub use product::{ListProduct, Product, Rejection};
pub use reprice::RepriceProduct;

use crate::Stream;
use crate::ids::ProductId;

/// Category of the streams of products.
pub const PRODUCT: &str = "catalog.product";

/// The stream of the product `id`.
#[must_use]
pub const fn product(id: ProductId) -> Stream {
    Stream::new(PRODUCT, id.get())
}
