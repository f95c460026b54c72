//! Whatever comes in and whatever is asked for: no stock is promised twice, and an order gets
//! all of what it asks for or nothing.

use std::collections::BTreeMap;

use domain::ids::{OrderId, ProductId};
use domain::inventory::{InventoryEvent, ReceiveStock, ReserveStock, ReservedLine};
use domain::values::Quantity;
use domain::{Aggregates, Decision, Event};
use proptest::prelude::*;
use uuid::Uuid;

#[derive(Debug, Clone)]
enum Step {
    Receive { product: u128, quantity: i64 },
    Order { order: u128, lines: BTreeMap<u128, i64> },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let quantity = 1..20_i64;
    let receive = (0..5_u128, quantity.clone())
        .prop_map(|(product, quantity)| Step::Receive { product, quantity });
    let order = (0..30_u128, prop::collection::btree_map(0..5_u128, quantity, 1..4))
        .prop_map(|(order, lines)| Step::Order { order, lines });
    prop::collection::vec(prop_oneof![receive, order], 1..80)
}

fn product(number: u128) -> ProductId {
    ProductId::new(Uuid::from_u128(number))
}

fn bind(step: &Step) -> Box<dyn Decision> {
    match step {
        Step::Receive { product: number, quantity } => Box::new(ReceiveStock {
            product_id: product(*number),
            quantity: Quantity::try_from(*quantity).unwrap(),
        }),
        Step::Order { order, lines } => Box::new(ReserveStock {
            order_id: OrderId::new(Uuid::from_u128(*order)),
            lines: lines
                .iter()
                .map(|(number, quantity)| ReservedLine {
                    product_id: product(*number),
                    quantity: Quantity::try_from(*quantity).unwrap(),
                })
                .collect(),
        }),
    }
}

proptest! {
    #[test]
    fn stock_is_never_oversold_and_orders_are_whole(steps in steps()) {
        let mut log: Vec<Event> = Vec::new();
        let mut available: BTreeMap<ProductId, i64> = BTreeMap::new();
        for step in &steps {
            let decision = bind(step);
            let streams = decision.streams();
            let mut aggregates = Aggregates::default();
            let named = log.iter().filter(|event| streams.contains(&event.stream()));
            for event in named {
                aggregates.apply(event);
            }
            let Ok(events) = decision.decide(&aggregates) else { continue };
            prop_assert!(events.iter().all(|event| streams.contains(&event.stream())));
            let mut made = None;
            let mut set_aside = 0;
            for event in &events {
                match event {
                    Event::Inventory(InventoryEvent::StockReceived(event)) => {
                        *available.entry(event.product_id).or_default() += i64::from(event.quantity.get());
                    }
                    Event::Inventory(InventoryEvent::StockReserved(event)) => {
                        let left = available.entry(event.product_id).or_default();
                        *left -= i64::from(event.quantity.get());
                        prop_assert!(*left >= 0, "{} of {} too many", -*left, event.product_id);
                        set_aside += 1;
                    }
                    Event::Inventory(InventoryEvent::ReservationMade(event)) => made = Some(event.lines.len()),
                    Event::Inventory(InventoryEvent::ReservationRefused(event)) => {
                        prop_assert!(!event.shortages.is_empty());
                        for short in &event.shortages {
                            let there = available.get(&short.product_id).copied().unwrap_or_default();
                            prop_assert_eq!(i64::try_from(short.available).unwrap(), there);
                            prop_assert!(there < i64::from(short.requested.get()));
                        }
                        made = Some(0);
                    }
                    _ => prop_assert!(false, "not of the inventory: {event:?}"),
                }
            }
            if let Some(lines) = made {
                prop_assert_eq!(set_aside, lines);
            }
            log.extend(events);
        }
    }

    #[test]
    fn every_event_is_written_and_read_without_loss(steps in steps()) {
        for step in &steps {
            for event in bind(step).decide(&Aggregates::default()).unwrap_or_default() {
                let known = event.payload_type();
                let text = event.encode().unwrap();
                prop_assert_eq!(Event::decode(known.name, known.version, &text).unwrap(), event);
            }
        }
    }
}
