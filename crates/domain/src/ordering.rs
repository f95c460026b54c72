//! Ordering: what customers ask for, and what becomes of it.

pub mod messages;

mod events;
mod lines;
mod order;
mod place;
mod settle;

pub use events::{OrderConfirmed, OrderLine, OrderPlaced, OrderRejected, OrderingEvent, Shortage};
pub use lines::{InvalidLines, RequestedLine, RequestedLines};
pub use order::{Order, Status};
pub use place::PlaceOrder;
pub use settle::{SETTLE_RESERVED_ORDERS, SettleOrder, Verdict};

use crate::Stream;
use crate::ids::{OrderId, ProductId};

/// Category of the streams of orders.
pub const ORDER: &str = "ordering.order";

/// The stream of the order `id`.
#[must_use]
pub const fn order(id: OrderId) -> Stream {
    Stream::new(ORDER, id.get())
}

/// Why a command on an order was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The id is in use.
    #[error("order {0} is placed already")]
    AlreadyPlaced(OrderId),
    /// A line asks for what the catalog does not offer.
    #[error("no product {product_id} is offered")]
    UnknownProduct {
        /// Which line, counted from 0.
        line: usize,
        /// What it asks for.
        product_id: ProductId,
    },
    /// An order is paid in one currency.
    #[error("product {product_id} is priced in another currency than the first line")]
    MixedCurrencies {
        /// The first line that differs, counted from 0.
        line: usize,
        /// What it asks for.
        product_id: ProductId,
    },
    /// The total is more than can be counted.
    #[error("the total of the order is too large")]
    TotalTooLarge,
    /// Only a placed order can be settled.
    #[error("order {0} was never placed")]
    NotPlaced(OrderId),
    /// An order is settled once.
    #[error("order {0} is settled already, the other way")]
    AlreadySettled(OrderId),
}
