//! The reservation aggregate: all of what an order asks for is set aside, or none of it.

use serde::{Deserialize, Serialize};

use super::{
    InventoryEvent, Rejection, ReservationMade, ReservationRefused, ReservedLine, Shortage, Stock,
    StockReserved,
};
use crate::ids::OrderId;
use crate::message::Message;
use crate::ordering::messages::OrderingMessage;
use crate::{Aggregate, Aggregates, Decider, Decision, Event, PayloadType, Policy, Stream};

/// What is set aside for one order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    outcome: Option<Outcome>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Made(Vec<ReservedLine>),
    Refused(Vec<Shortage>),
}

impl Aggregate for Reservation {
    const CATEGORY: &'static str = super::RESERVATION;

    fn evolve(self, event: &Event) -> Self {
        let outcome = match event {
            Event::Inventory(InventoryEvent::ReservationMade(event)) => {
                Some(Outcome::Made(event.lines.clone()))
            }
            Event::Inventory(InventoryEvent::ReservationRefused(event)) => {
                Some(Outcome::Refused(event.shortages.clone()))
            }
            Event::Inventory(
                InventoryEvent::StockReceived(_) | InventoryEvent::StockReserved(_),
            )
            | Event::Catalog(_)
            | Event::Identity(_)
            | Event::Ordering(_)
            | Event::Organizations(_) => self.outcome,
        };
        Self { outcome }
    }

    fn heap_bytes(&self) -> usize {
        match &self.outcome {
            Some(Outcome::Made(lines)) => size_of_val(lines.as_slice()),
            Some(Outcome::Refused(shortages)) => size_of_val(shortages.as_slice()),
            None => 0,
        }
    }
}

/// Set aside what an order asks for.
#[derive(Debug, Clone)]
pub struct ReserveStock {
    /// The order.
    pub order_id: OrderId,
    /// What it asks for; no product twice.
    pub lines: Vec<ReservedLine>,
}

impl Decider for ReserveStock {
    type Rejection = Rejection;

    /// The stock of each product besides: all of what the order asks for is set aside, or none.
    fn streams(&self) -> Vec<Stream> {
        let stocks = self.lines.iter().map(|line| super::stock(line.product_id));
        std::iter::once(super::reservation(self.order_id)).chain(stocks).collect()
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { order_id, lines } = self.clone();
        let reservation: Option<&Reservation> = aggregates.get(super::reservation(order_id));
        match reservation.and_then(|reservation| reservation.outcome.as_ref()) {
            Some(Outcome::Made(made)) if *made != lines => {
                return Err(Rejection::AlreadyReserved(order_id));
            }
            Some(_) => return Ok(Vec::new()),
            None => {}
        }
        let shortages: Vec<_> =
            lines.iter().filter_map(|line| shortage(aggregates, line)).collect();
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

fn shortage(aggregates: &Aggregates, line: &ReservedLine) -> Option<Shortage> {
    let available = aggregates.get(super::stock(line.product_id)).map_or(0, Stock::available);
    (available < u64::from(line.quantity.get())).then_some(Shortage {
        product_id: line.product_id,
        requested: line.quantity,
        available,
    })
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
            vec![Box::new(command)]
        }
        _ => Vec::new(),
    }
}
