//! What the catalog tells the public.

use serde::{Deserialize, Serialize};

use super::CatalogEvent;
use crate::ids::ProductId;
use crate::payload::payloads;
use crate::values::{Money, ProductName, Sku};

payloads! {
    /// Messages of the catalog.
    CatalogMessage {
        ProductListed = "catalog.product-listed" v 1,
    }
}

/// A product is offered from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductListed {
    /// The product.
    pub product_id: ProductId,
    /// Its SKU.
    pub sku: Sku,
    /// What people call it.
    pub name: ProductName,
    /// The price of one.
    pub price: Money,
}

impl CatalogMessage {
    /// What the public learns of `event`.
    #[must_use]
    pub fn of(event: &CatalogEvent) -> Option<Self> {
        match event {
            CatalogEvent::ProductListed(event) => Some(Self::ProductListed(ProductListed {
                product_id: event.product_id,
                sku: event.sku.clone(),
                name: event.name.clone(),
                price: event.price,
            })),
        }
    }
}
