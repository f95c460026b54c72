//! Another price for a product.

use super::{CatalogEvent, Product, ProductRepriced, Rejection};
use crate::ids::ProductId;
use crate::values::Money;
use crate::{Aggregates, Decider, Event, Stream};

/// Offer a product at another price.
#[derive(Debug, Clone)]
pub struct RepriceProduct {
    /// The product.
    pub product_id: ProductId,
    /// The price of one, in whatever currency.
    pub price: Money,
}

impl Decider for RepriceProduct {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::product(self.product_id)]
    }

    /// Nothing follows if it is the price already.
    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { product_id, price } = *self;
        let product: Option<&Product> = aggregates.get(super::product(product_id));
        let offer = product.and_then(Product::offer).ok_or(Rejection::NotListed(product_id))?;
        if offer.price == price {
            return Ok(Vec::new());
        }
        Ok(vec![CatalogEvent::from(ProductRepriced { product_id, price }).into()])
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::catalog::ListProduct;
    use crate::testing::decide;

    const MUG: ProductId = ProductId::new(Uuid::from_u128(1));

    fn euros(amount: i64) -> Money {
        Money::new(amount, "EUR".parse().unwrap()).unwrap()
    }

    fn listed() -> Vec<Event> {
        let sku = "Mug-1".to_owned().try_into().unwrap();
        let name = "Mug".to_owned().try_into().unwrap();
        decide(&[], &ListProduct { product_id: MUG, sku, name, price: euros(1250) }).unwrap()
    }

    #[test]
    fn it_has_the_price_that_was_given_last() {
        let mut history = listed();
        history.extend(
            decide(&history, &RepriceProduct { product_id: MUG, price: euros(990) }).unwrap(),
        );
        let again = decide(&history, &RepriceProduct { product_id: MUG, price: euros(990) });
        assert_eq!(again, Ok(Vec::new()), "it is the price already");
        let back = decide(&history, &RepriceProduct { product_id: MUG, price: euros(1250) });
        assert_eq!(back.unwrap().len(), 1);
    }

    #[test]
    fn what_nobody_listed_has_no_price() {
        let repriced = decide(&[], &RepriceProduct { product_id: MUG, price: euros(990) });
        assert_eq!(repriced, Err(Rejection::NotListed(MUG)));
    }
}
