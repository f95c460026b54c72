//! Placing an order.

use chrono::{DateTime, Utc};

use super::{Order, OrderLine, OrderPlaced, OrderingEvent, Rejection, RequestedLines};
use crate::catalog::{self, Product};
use crate::ids::OrderId;
use crate::values::Money;
use crate::{Aggregates, Decider, Event, Stream};

/// Ask for products.
#[derive(Debug, Clone)]
pub struct PlaceOrder {
    /// The id the order shall have.
    pub order_id: OrderId,
    /// What is asked for.
    pub lines: RequestedLines,
    /// When.
    pub placed_at: DateTime<Utc>,
}

/// It reads the products' own streams rather than a read model, so the prices are those of the
/// very moment of the append.
impl Decider for PlaceOrder {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        let products = self.lines.as_slice().iter().map(|line| catalog::product(line.product_id));
        std::iter::once(super::order(self.order_id)).chain(products).collect()
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { order_id, placed_at, .. } = *self;
        if aggregates.get(super::order(order_id)).is_some_and(Order::is_placed) {
            return Err(Rejection::AlreadyPlaced(order_id));
        }
        let lines = price(aggregates, &self.lines)?;
        let total = total(&lines)?;
        let placed = OrderPlaced { order_id, lines, total, placed_at };
        Ok(vec![OrderingEvent::from(placed).into()])
    }
}

fn price(aggregates: &Aggregates, lines: &RequestedLines) -> Result<Vec<OrderLine>, Rejection> {
    let priced = lines.as_slice().iter().enumerate().map(|(line, requested)| {
        let product_id = requested.product_id;
        let product: Option<&Product> = aggregates.get(catalog::product(product_id));
        let offer = product.and_then(Product::offer);
        let offer = offer.ok_or(Rejection::UnknownProduct { line, product_id })?;
        Ok(OrderLine {
            product_id,
            sku: offer.sku.clone(),
            name: offer.name.clone(),
            quantity: requested.quantity,
            unit_price: offer.price,
        })
    });
    priced.collect()
}

fn total(lines: &[OrderLine]) -> Result<Money, Rejection> {
    let Some(first) = lines.first() else { return Err(Rejection::TotalTooLarge) };
    let currency = first.unit_price.currency();
    let mut total = Money::zero(currency);
    for (line, order_line) in lines.iter().enumerate() {
        if order_line.unit_price.currency() != currency {
            return Err(Rejection::MixedCurrencies { line, product_id: order_line.product_id });
        }
        total = order_line
            .unit_price
            .checked_mul(order_line.quantity)
            .and_then(|amount| total.checked_add(amount))
            .ok_or(Rejection::TotalTooLarge)?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::RequestedLine;
    use super::*;
    use crate::catalog::{CatalogEvent, ProductListed};
    use crate::ids::ProductId;
    use crate::testing::decide;
    use crate::values::{ProductName, Quantity, Sku};

    fn product(number: u128) -> ProductId {
        ProductId::new(Uuid::from_u128(number))
    }

    fn offer(number: u128, amount: i64, currency: &str) -> Event {
        let listed = ProductListed {
            product_id: product(number),
            sku: Sku::try_from(format!("SKU-{number}")).unwrap(),
            name: ProductName::try_from(format!("Product {number}")).unwrap(),
            price: Money::new(amount, currency.parse().unwrap()).unwrap(),
        };
        CatalogEvent::from(listed).into()
    }

    fn order(lines: &[(u128, i64)]) -> PlaceOrder {
        let lines = lines.iter().map(|(number, quantity)| RequestedLine {
            product_id: product(*number),
            quantity: Quantity::try_from(*quantity).unwrap(),
        });
        PlaceOrder {
            order_id: OrderId::new(Uuid::from_u128(7)),
            lines: RequestedLines::try_from(lines.collect::<Vec<_>>()).unwrap(),
            placed_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_total_is_the_sum_of_the_offers_of_that_moment() {
        let history = [offer(1, 500, "EUR"), offer(2, 50, "EUR")];
        let events = decide(&history, &order(&[(1, 2), (2, 3)])).unwrap();
        let [Event::Ordering(OrderingEvent::OrderPlaced(placed))] = events.as_slice() else {
            panic!("one placement: {events:?}")
        };
        assert_eq!(placed.total.amount(), 1150);
        assert_eq!(placed.lines[1].unit_price.amount(), 50);
    }

    #[test]
    fn what_is_not_offered_cannot_be_ordered() {
        let outcome = decide(&[offer(1, 500, "EUR")], &order(&[(1, 1), (2, 1)]));
        assert_eq!(outcome, Err(Rejection::UnknownProduct { line: 1, product_id: product(2) }));
    }

    #[test]
    fn an_order_has_one_currency() {
        let history = [offer(1, 500, "EUR"), offer(2, 50, "CHF")];
        let outcome = decide(&history, &order(&[(1, 1), (2, 1)]));
        assert_eq!(outcome, Err(Rejection::MixedCurrencies { line: 1, product_id: product(2) }));
    }

    #[test]
    fn a_total_that_cannot_be_counted_is_refused() {
        let outcome = decide(&[offer(1, i64::MAX, "EUR")], &order(&[(1, 2)]));
        assert_eq!(outcome, Err(Rejection::TotalTooLarge));
    }

    #[test]
    fn an_order_is_placed_once() {
        let mut history = vec![offer(1, 500, "EUR")];
        history.extend(decide(&history, &order(&[(1, 1)])).unwrap());
        let again = decide(&history, &order(&[(1, 1)]));
        assert_eq!(again, Err(Rejection::AlreadyPlaced(order(&[(1, 1)]).order_id)));
    }
}
