//! Settling an order: confirmed or rejected, once.

use super::{Order, OrderConfirmed, OrderRejected, OrderingEvent, Rejection, Shortage, Status};
use crate::ids::OrderId;
use crate::inventory::messages::InventoryMessage;
use crate::{Aggregates, Decider, Decision, Event, Message, PayloadType, Policy, Stream};

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

impl Decider for SettleOrder {
    type Rejection = Rejection;

    fn streams(&self) -> Vec<Stream> {
        vec![super::order(self.order_id)]
    }

    fn decide(&self, aggregates: &Aggregates) -> Result<Vec<Event>, Rejection> {
        let Self { order_id, verdict } = self.clone();
        let status = aggregates.get(super::order(order_id)).map_or(Status::Absent, Order::status);
        match (status, verdict) {
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
    vec![Box::new(command)]
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::super::OrderPlaced;
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
            history.extend(decide(&history, &settle(first.clone())).unwrap());
            assert_eq!(history.len(), 2);
            assert_eq!(decide(&history, &settle(first)), Ok(Vec::new()));
            let refused = decide(&history, &settle(other));
            assert_eq!(refused, Err(Rejection::AlreadySettled(id())));
        }
    }

    #[test]
    fn what_was_never_placed_cannot_be_settled() {
        let outcome = decide(&[], &settle(Verdict::Confirmed));
        assert_eq!(outcome, Err(Rejection::NotPlaced(id())));
    }
}
