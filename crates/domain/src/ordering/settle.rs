//! Settling an order: confirmed or rejected, once.

use serde::Serialize;

use super::{OrderConfirmed, OrderPlaced, OrderRejected, OrderingEvent, Rejection, Shortage};
use crate::ids::OrderId;
use crate::inventory::messages::InventoryMessage;
use crate::{Decider, Decision, Event, Message, PayloadType, Policy, Stream, decision};

/// Decides what becomes of a placed order.
pub struct Settlement;

/// Close an order with a verdict.
#[derive(Debug, Clone)]
pub struct SettleOrder {
    /// The order.
    pub order_id: OrderId,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Everything it asks for is reserved.
    Confirmed,
    /// Something is short.
    Rejected(Vec<Shortage>),
}

/// An order, and where it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct State {
    status: Status,
    placed: Option<OrderPlaced>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shortages: Vec<Shortage>,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    /// It was never placed.
    #[default]
    Absent,
    /// It waits for its verdict.
    Placed,
    /// It has been confirmed.
    Confirmed,
    /// It has been rejected.
    Rejected,
}

impl Decider for Settlement {
    type Command = SettleOrder;
    type State = State;
    type Rejection = Rejection;

    fn streams(command: &SettleOrder) -> Vec<Stream> {
        vec![super::order(command.order_id)]
    }

    fn initial() -> State {
        State::default()
    }

    fn evolve(mut state: State, event: &Event) -> State {
        match event {
            Event::Ordering(OrderingEvent::OrderPlaced(placed)) => {
                state.status = Status::Placed;
                state.placed = Some(placed.clone());
            }
            Event::Ordering(OrderingEvent::OrderConfirmed(_)) => state.status = Status::Confirmed,
            Event::Ordering(OrderingEvent::OrderRejected(rejected)) => {
                state.status = Status::Rejected;
                state.shortages.clone_from(&rejected.shortages);
            }
            Event::Catalog(_) | Event::Inventory(_) => {}
        }
        state
    }

    fn decide(state: &State, command: SettleOrder) -> Result<Vec<Event>, Rejection> {
        let SettleOrder { order_id, verdict } = command;
        match (state.status, verdict) {
            (Status::Absent, _) => Err(Rejection::NotPlaced(order_id)),
            (Status::Placed, Verdict::Confirmed) => {
                Ok(vec![OrderingEvent::from(OrderConfirmed { order_id }).into()])
            }
            (Status::Placed, Verdict::Rejected(shortages)) => {
                Ok(vec![OrderingEvent::from(OrderRejected { order_id, shortages }).into()])
            }
            (Status::Confirmed, Verdict::Confirmed) | (Status::Rejected, Verdict::Rejected(_)) => {
                Ok(Vec::new())
            }
            (Status::Confirmed, Verdict::Rejected(_)) | (Status::Rejected, Verdict::Confirmed) => {
                Err(Rejection::AlreadySettled(order_id))
            }
        }
    }
}

/// Every order whose reservation was made is confirmed; refused, it is rejected.
pub const SETTLE_RESERVED_ORDERS: Policy = Policy {
    name: "ordering",
    reads: &[
        PayloadType { name: "inventory.reservation-made", version: 1 },
        PayloadType { name: "inventory.reservation-refused", version: 1 },
    ],
    react,
};

fn react(message: &Message) -> Vec<Box<dyn Decision>> {
    let Message::Inventory(message) = message else { return Vec::new() };
    let command = match message {
        InventoryMessage::ReservationMade(made) => {
            SettleOrder { order_id: made.order_id, verdict: Verdict::Confirmed }
        }
        InventoryMessage::ReservationRefused(refused) => {
            let shortages = refused.shortages.iter().map(|short| Shortage {
                product_id: short.product_id,
                requested: short.requested,
                available: short.available,
            });
            let verdict = Verdict::Rejected(shortages.collect());
            SettleOrder { order_id: refused.order_id, verdict }
        }
    };
    vec![decision::<Settlement>(command)]
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::testing::decide;
    use crate::values::Money;

    fn placed() -> Event {
        OrderingEvent::from(OrderPlaced {
            order_id: id(),
            lines: Vec::new(),
            total: Money::zero("EUR".parse().unwrap()),
            placed_at: chrono::DateTime::UNIX_EPOCH,
        })
        .into()
    }

    fn id() -> OrderId {
        OrderId::new(Uuid::from_u128(7))
    }

    fn settle(verdict: Verdict) -> SettleOrder {
        SettleOrder { order_id: id(), verdict }
    }

    #[test]
    fn the_same_verdict_again_changes_nothing_and_the_other_one_is_refused() {
        for (first, other) in [
            (Verdict::Confirmed, Verdict::Rejected(Vec::new())),
            (Verdict::Rejected(Vec::new()), Verdict::Confirmed),
        ] {
            let mut history = vec![placed()];
            history.extend(decide::<Settlement>(&history, settle(first.clone())).unwrap());
            assert_eq!(history.len(), 2);
            assert_eq!(decide::<Settlement>(&history, settle(first)), Ok(Vec::new()));
            let refused = decide::<Settlement>(&history, settle(other));
            assert_eq!(refused, Err(Rejection::AlreadySettled(id())));
        }
    }

    #[test]
    fn what_was_never_placed_cannot_be_settled() {
        let outcome = decide::<Settlement>(&[], settle(Verdict::Confirmed));
        assert_eq!(outcome, Err(Rejection::NotPlaced(id())));
    }
}
