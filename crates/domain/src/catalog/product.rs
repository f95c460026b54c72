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
    type State = bool;
    type Rejection = Rejection;

    fn streams(command: &ListProduct) -> Vec<Stream> {
        vec![super::product(command.product_id)]
    }

    fn initial() -> bool {
        false
    }

    fn evolve(listed: bool, event: &Event) -> bool {
        listed || matches!(event, Event::Catalog(CatalogEvent::ProductListed(_)))
    }

    fn decide(listed: &bool, command: ListProduct) -> Result<Vec<Event>, Rejection> {
        let ListProduct { product_id, sku, name, price } = command;
        if *listed {
            return Err(Rejection::AlreadyListed(product_id));
        }
        let event = ProductListed { product_id, sku, name, price };
        Ok(vec![CatalogEvent::from(event).into()])
    }
}
