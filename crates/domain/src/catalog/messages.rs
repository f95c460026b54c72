//! What the catalog tells the public.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CatalogEvent;
use crate::ids::ProductId;
use crate::payload::public_payloads;
use crate::values::{Money, ProductName, Sku};

public_payloads! {
    /// Messages of the catalog.
    CatalogMessage {
        ProductListed = "catalog.product-listed" v 1,
        ProductRepriced = "catalog.product-repriced" v 1,
    }
}

/// A product is offered from now on.
///
/// How many there are is not told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProductListed {
    /// The product.
    pub product_id: ProductId,
    /// Its SKU, unique whatever the case.
    pub sku: Sku,
    /// What people call it.
    pub name: ProductName,
    /// The price of one.
    pub price: Money,
}

/// A product has another price from now on.
///
/// Orders that are placed already keep the price they were placed at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProductRepriced {
    /// The product.
    pub product_id: ProductId,
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
            CatalogEvent::ProductRepriced(event) => Some(Self::ProductRepriced(ProductRepriced {
                product_id: event.product_id,
                price: event.price,
            })),
        }
    }
}
