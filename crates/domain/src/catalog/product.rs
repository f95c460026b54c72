//! The product aggregate.

use serde::{Deserialize, Serialize};

use super::{CatalogEvent, ProductListed, ProductRepriced};
use crate::ids::ProductId;
use crate::values::{Money, ProductName, Sku};
use crate::{Aggregate, Aggregates, Decider, Event, Stream};

/// A product: what it is offered as, once it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Product(Option<ProductListed>);

impl Product {
    /// What it is offered as.
    #[must_use]
    pub const fn offer(&self) -> Option<&ProductListed> {
        self.0.as_ref()
    }
}

impl Aggregate for Product {
    const CATEGORY: &'static str = super::PRODUCT;

    fn evolve(self, event: &Event) -> Self {
        match event {
            Event::Catalog(CatalogEvent::ProductListed(listed)) => Self(Some(listed.clone())),
            Event::Catalog(CatalogEvent::ProductRepriced(ProductRepriced { price, .. })) => {
                Self(self.0.map(|offer| ProductListed { price: *price, ..offer }))
            }
            Event::Identity(_)
            | Event::Inventory(_)
            | Event::Ordering(_)
            | Event::Organizations(_) => self,
        }
    }

    fn heap_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |listed| listed.sku.as_str().len() + listed.name.as_str().len())
    }
}

/// Offer a new product.
#[derive(Debug, Clone)]
pub struct ListProduct {
    /// The id it shall have.
    pub product_id: ProductId,
    /// Its SKU.
    pub sku: Sku,
    /// What people shall call it.
    pub name: ProductName,
    /// The price of one.
    pub price: Money,
}

/// Why a command on a product was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The id is in use.
    #[error("product {0} is listed already")]
    AlreadyListed(ProductId),
    /// Nobody has listed it.
    #[error("no product {0} is listed")]
    NotListed(ProductId),
}

impl Decider for ListProduct {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::product(self.product_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { product_id, sku, name, price } = self.clone();
        let product: Option<&Product> = aggregates.get(super::product(product_id));
        if product.and_then(Product::offer).is_some() {
            return Err(Rejection::AlreadyListed(product_id));
        }
        let event = ProductListed { product_id, sku, name, price };
        Ok(vec![CatalogEvent::from(event).into()])
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::testing::decide;

    fn mug() -> ListProduct {
        ListProduct {
            product_id: ProductId::new(Uuid::from_u128(1)),
            sku: Sku::try_from("Mug-1".to_owned()).unwrap(),
            name: ProductName::try_from("Mug".to_owned()).unwrap(),
            price: Money::new(1250, "EUR".parse().unwrap()).unwrap(),
        }
    }

    #[test]
    fn a_listed_product_claims_its_sku_whatever_the_case() {
        let events = decide(&[], &mug()).unwrap();
        let [event] = events.as_slice() else { panic!("one event: {events:?}") };
        assert_eq!(event.stream(), super::super::product(mug().product_id));
        assert_eq!(event.claims()[0].value, "mug-1");
    }

    #[test]
    fn an_id_is_listed_once() {
        let history = decide(&[], &mug()).unwrap();
        let again = decide(&history, &mug());
        assert_eq!(again, Err(Rejection::AlreadyListed(mug().product_id)));
    }
}
