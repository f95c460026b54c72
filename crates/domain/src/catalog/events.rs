//! What happens in the catalog.

use serde::{Deserialize, Serialize};

use crate::ids::ProductId;
use crate::payload::payloads;
use crate::values::{Money, ProductName, Sku};
use crate::{Claim, Stream};

payloads! {
    /// Events of the catalog.
    CatalogEvent {
        ProductListed = "catalog.product-listed" v 1,
        ProductRepriced = "catalog.product-repriced" v 1,
    }
}

/// A product is offered from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductListed {
    /// The product.
    pub product_id: ProductId,
    /// Its SKU, unique among all products whatever the case.
    pub sku: Sku,
    /// What people call it.
    pub name: ProductName,
    /// The price of one.
    pub price: Money,
}

/// A product has another price from now on; orders keep the one they were placed at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductRepriced {
    /// The product.
    pub product_id: ProductId,
    /// The price of one.
    pub price: Money,
}

impl CatalogEvent {
    pub(crate) const fn stream(&self) -> Stream {
        match self {
            Self::ProductListed(event) => super::product(event.product_id),
            Self::ProductRepriced(event) => super::product(event.product_id),
        }
    }

    pub(crate) fn claims(&self) -> Vec<Claim> {
        match self {
            Self::ProductListed(event) => {
                let value = event.sku.unique_form();
                vec![Claim { namespace: "catalog.sku", value, subject: None }]
            }
            Self::ProductRepriced(_) => Vec::new(),
        }
    }
}
