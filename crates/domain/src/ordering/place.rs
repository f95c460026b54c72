//! Placing an order.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{OrderLine, OrderPlaced, OrderingEvent, Rejection, RequestedLines};
use crate::catalog::{self, CatalogEvent, ProductListed};
use crate::ids::{OrderId, ProductId};
use crate::values::Money;
use crate::{Decider, Event, Stream};

/// Decides whether an order can be placed, and at what prices.
///
/// It reads the products' own streams rather than a read model, so the prices are those of the
/// very moment of the append.
pub struct Placement;

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

/// What is offered, and whether the order is there already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    offers: BTreeMap<ProductId, ProductListed>,
    placed: bool,
}

impl Decider for Placement {
    type Command = PlaceOrder;
    type State = State;
    type Rejection = Rejection;

    fn streams(command: &PlaceOrder) -> Vec<Stream> {
        let products =
            command.lines.as_slice().iter().map(|line| catalog::product(line.product_id));
        std::iter::once(super::order(command.order_id)).chain(products).collect()
    }

    fn initial() -> State {
        State::default()
    }

    fn evolve(mut state: State, event: &Event) -> State {
        match event {
            Event::Catalog(CatalogEvent::ProductListed(listed)) => {
                state.offers.insert(listed.product_id, listed.clone());
            }
            Event::Ordering(OrderingEvent::OrderPlaced(_)) => state.placed = true,
            _ => {}
        }
        state
    }

    fn decide(state: &State, command: PlaceOrder) -> Result<Vec<Event>, Rejection> {
        let PlaceOrder { order_id, lines, placed_at } = command;
        if state.placed {
            return Err(Rejection::AlreadyPlaced(order_id));
        }
        let lines = state.price(&lines)?;
        let total = total(&lines)?;
        let placed = OrderPlaced { order_id, lines, total, placed_at };
        Ok(vec![OrderingEvent::from(placed).into()])
    }
}

impl State {
    fn price(&self, lines: &RequestedLines) -> Result<Vec<OrderLine>, Rejection> {
        let priced = lines.as_slice().iter().enumerate().map(|(line, requested)| {
            let product_id = requested.product_id;
            let offer = self.offers.get(&product_id);
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
