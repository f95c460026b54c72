//! The stock aggregate: how much of one product is available.

use serde::Serialize;

use super::{InventoryEvent, StockReceived};
use crate::ids::{OrderId, ProductId};
use crate::values::Quantity;
use crate::{Decider, Event, Stream};

/// Decides on the stock of one product.
pub struct Stock;

/// Take in more of a product.
#[derive(Debug, Clone)]
pub struct ReceiveStock {
    /// The product.
    pub product_id: ProductId,
    /// How many came.
    pub quantity: Quantity,
}

/// How much of a product there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct State {
    /// How many are not set aside for an order.
    available: u64,
}

/// Why a command on the inventory was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// An order reserves once.
    #[error("order {0} has its reservation already, for other lines")]
    AlreadyReserved(OrderId),
}

impl Decider for Stock {
    type Command = ReceiveStock;
    type State = State;
    type Rejection = Rejection;

    fn streams(command: &ReceiveStock) -> Vec<Stream> {
        vec![super::stock(command.product_id)]
    }

    fn initial() -> State {
        State::default()
    }

    fn evolve(state: State, event: &Event) -> State {
        let Event::Inventory(event) = event else { return state };
        State { available: available_after(state.available, event) }
    }

    fn decide(_: &State, command: ReceiveStock) -> Result<Vec<Event>, Rejection> {
        let ReceiveStock { product_id, quantity } = command;
        Ok(vec![InventoryEvent::from(StockReceived { product_id, quantity }).into()])
    }
}

/// How many are available after `event`, of `available` before it.
///
/// Saturates rather than wraps; a history this crate decided never reaches either end.
pub(super) fn available_after(available: u64, event: &InventoryEvent) -> u64 {
    match event {
        InventoryEvent::StockReceived(event) => {
            available.saturating_add(u64::from(event.quantity.get()))
        }
        InventoryEvent::StockReserved(event) => {
            available.saturating_sub(u64::from(event.quantity.get()))
        }
        InventoryEvent::ReservationMade(_) | InventoryEvent::ReservationRefused(_) => available,
    }
}
