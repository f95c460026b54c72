//! The reservation aggregate: all of what an order asks for is set aside, or none of it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::stock::available_after;
use super::{
    InventoryEvent, Rejection, ReservationMade, ReservationRefused, ReservedLine, Shortage,
    StockReceived, StockReserved,
};
use crate::ids::{OrderId, ProductId};
use crate::message::Message;
use crate::ordering::messages::OrderingMessage;
use crate::{Decider, Decision, Event, PayloadType, Policy, Stream, decision};

/// Decides on the reservation of one order, over the stock of all its products.
pub struct Reservation;

/// Set aside what an order asks for.
#[derive(Debug, Clone)]
pub struct ReserveStock {
    /// The order.
    pub order_id: OrderId,
    /// What it asks for; no product twice.
    pub lines: Vec<ReservedLine>,
}

/// What is available, and what this order got before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct State {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    available: BTreeMap<ProductId, u64>,
    outcome: Option<Outcome>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Made(Vec<ReservedLine>),
    Refused(Vec<Shortage>),
}

impl Decider for Reservation {
    type Command = ReserveStock;
    type State = State;
    type Rejection = Rejection;

    fn streams(command: &ReserveStock) -> Vec<Stream> {
        let stocks = command.lines.iter().map(|line| super::stock(line.product_id));
        std::iter::once(super::reservation(command.order_id)).chain(stocks).collect()
    }

    fn initial() -> State {
        State::default()
    }

    fn evolve(mut state: State, event: &Event) -> State {
        let Event::Inventory(event) = event else { return state };
        match event {
            InventoryEvent::StockReceived(StockReceived { product_id, .. })
            | InventoryEvent::StockReserved(StockReserved { product_id, .. }) => {
                let available = state.available.entry(*product_id).or_default();
                *available = available_after(*available, event);
            }
            InventoryEvent::ReservationMade(event) => {
                state.outcome = Some(Outcome::Made(event.lines.clone()));
            }
            InventoryEvent::ReservationRefused(event) => {
                state.outcome = Some(Outcome::Refused(event.shortages.clone()));
            }
        }
        state
    }

    fn decide(state: &State, command: ReserveStock) -> Result<Vec<Event>, Rejection> {
        let ReserveStock { order_id, lines } = command;
        match &state.outcome {
            Some(Outcome::Made(made)) if *made != lines => {
                return Err(Rejection::AlreadyReserved(order_id));
            }
            Some(_) => return Ok(Vec::new()),
            None => {}
        }
        let shortages: Vec<_> = lines.iter().filter_map(|line| state.shortage(line)).collect();
        if !shortages.is_empty() {
            let refused = ReservationRefused { order_id, shortages };
            return Ok(vec![InventoryEvent::from(refused).into()]);
        }
        let set_aside = lines.iter().map(|line| {
            let ReservedLine { product_id, quantity } = *line;
            InventoryEvent::from(StockReserved { product_id, order_id, quantity })
        });
        let mut events: Vec<Event> = set_aside.map(Event::from).collect();
        events.push(InventoryEvent::from(ReservationMade { order_id, lines }).into());
        Ok(events)
    }
}

impl State {
    fn shortage(&self, line: &ReservedLine) -> Option<Shortage> {
        let available = self.available.get(&line.product_id).copied().unwrap_or_default();
        (available < u64::from(line.quantity.get())).then_some(Shortage {
            product_id: line.product_id,
            requested: line.quantity,
            available,
        })
    }
}

/// Every placed order gets its reservation, or the refusal.
pub const RESERVE_PLACED_ORDERS: Policy = Policy {
    name: "inventory",
    reads: &[PayloadType { name: "ordering.order-placed", version: 1 }],
    react,
};

fn react(message: &Message) -> Vec<Box<dyn Decision>> {
    match message {
        Message::Ordering(OrderingMessage::OrderPlaced(placed)) => {
            let lines = placed
                .lines
                .iter()
                .map(|line| ReservedLine { product_id: line.product_id, quantity: line.quantity });
            let command = ReserveStock { order_id: placed.order_id, lines: lines.collect() };
            vec![decision::<Reservation>(command)]
        }
        _ => Vec::new(),
    }
}
