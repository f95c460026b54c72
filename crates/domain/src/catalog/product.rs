//! The product aggregate.

use super::{CatalogEvent, ProductListed};
use crate::ids::ProductId;
use crate::values::{Money, ProductName, Sku};
use crate::{Decider, Event, Stream};

/// Decides on one product.
pub struct Product;

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
}

impl Decider for Product {
    type Command = ListProduct;
    /// What it is offered as, once it is.
    type State = Option<ProductListed>;
    type Rejection = Rejection;

    fn streams(command: &ListProduct) -> Vec<Stream> {
        vec![super::product(command.product_id)]
    }

    fn initial() -> Option<ProductListed> {
        None
    }

    fn evolve(listed: Option<ProductListed>, event: &Event) -> Option<ProductListed> {
        match event {
            Event::Catalog(CatalogEvent::ProductListed(event)) => Some(event.clone()),
            Event::Inventory(_) | Event::Ordering(_) => listed,
        }
    }

    fn decide(
        listed: &Option<ProductListed>,
        command: ListProduct,
    ) -> Result<Vec<Event>, Rejection> {
        let ListProduct { product_id, sku, name, price } = command;
        if listed.is_some() {
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
        let events = decide::<Product>(&[], mug()).unwrap();
        let [event] = events.as_slice() else { panic!("one event: {events:?}") };
        assert_eq!(event.stream(), super::super::product(mug().product_id));
        assert_eq!(event.claims()[0].value, "mug-1");
    }

    #[test]
    fn an_id_is_listed_once() {
        let history = decide::<Product>(&[], mug()).unwrap();
        let again = decide::<Product>(&history, mug());
        assert_eq!(again, Err(Rejection::AlreadyListed(mug().product_id)));
    }
}
