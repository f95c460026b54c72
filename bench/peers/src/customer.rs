//! What the `command` workload decides on: the orders that a customer has placed.

use std::error::Error;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::order::OrderPlaced;

/// So high that no run reaches it: every command is accepted, and every one has to look.
const CREDIT_CENTS: u64 = 1_000_000_000_000;

/// The state of one aggregate, made from its events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Customer {
    orders: u64,
    owed_cents: u64,
}

/// Why an order is not placed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Refused {
    /// No event of this customer was loaded, which means that the peer lost some.
    Unknown,
    OutOfCredit,
}

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unknown => "no event of the customer was loaded",
            Self::OutOfCredit => "the customer is out of credit",
        })
    }
}

impl Error for Refused {}

impl Customer {
    pub(crate) fn apply(&mut self, event: &OrderPlaced) {
        self.orders += 1;
        self.owed_cents += event.total_cents;
    }

    pub(crate) fn place(&self, order: OrderPlaced) -> Result<OrderPlaced, Refused> {
        if self.orders == 0 {
            return Err(Refused::Unknown);
        }
        if self.owed_cents + order.total_cents > CREDIT_CENTS {
            return Err(Refused::OutOfCredit);
        }
        Ok(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_placed_until_the_credit_is_used_up() {
        let mut customer = Customer::default();
        let order = OrderPlaced::new(1);
        assert_eq!(customer.place(order.clone()), Err(Refused::Unknown));
        customer.apply(&order);
        assert_eq!((customer.orders, customer.owed_cents), (1, order.total_cents));
        assert!(customer.place(order.clone()).is_ok());
        customer.owed_cents = CREDIT_CENTS;
        assert_eq!(customer.place(order), Err(Refused::OutOfCredit));
    }
}
