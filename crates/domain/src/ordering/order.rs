//! The order aggregate: where an order stands.

use serde::{Deserialize, Serialize};

use super::{OrderPlaced, OrderingEvent, Shortage};
use crate::{Aggregate, Event};

/// An order, and where it stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    status: Status,
    placed: Option<OrderPlaced>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    shortages: Vec<Shortage>,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
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

impl Order {
    /// Where it stands.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Whether it was ever placed.
    #[must_use]
    pub const fn is_placed(&self) -> bool {
        !matches!(self.status, Status::Absent)
    }
}

impl Aggregate for Order {
    const CATEGORY: &'static str = super::ORDER;

    fn evolve(mut self, event: &Event) -> Self {
        match event {
            Event::Ordering(OrderingEvent::OrderPlaced(placed)) => {
                self.status = Status::Placed;
                self.placed = Some(placed.clone());
            }
            Event::Ordering(OrderingEvent::OrderConfirmed(_)) => self.status = Status::Confirmed,
            Event::Ordering(OrderingEvent::OrderRejected(rejected)) => {
                self.status = Status::Rejected;
                self.shortages.clone_from(&rejected.shortages);
            }
            Event::Catalog(_)
            | Event::Identity(_)
            | Event::Inventory(_)
            | Event::Organizations(_) => {}
        }
        self
    }

    fn heap_bytes(&self) -> usize {
        let lines = self.placed.as_ref().map_or(&[][..], |placed| &placed.lines);
        let texts = lines.iter().map(|line| line.sku.as_str().len() + line.name.as_str().len());
        size_of_val(lines) + texts.sum::<usize>() + size_of_val(self.shortages.as_slice())
    }
}
