//! The inventory: how much of each product there is, and for which orders it is reserved.

pub mod messages;

mod events;
mod reservation;
mod stock;

pub use events::{
    InventoryEvent, ReservationMade, ReservationRefused, ReservedLine, Shortage, StockReceived,
    StockReserved,
};
pub use reservation::{RESERVE_PLACED_ORDERS, Reservation, ReserveStock};
pub use stock::{ReceiveStock, Rejection, Stock};

use crate::Stream;
use crate::ids::{OrderId, ProductId};

/// Category of the streams of stock.
pub const STOCK: &str = "inventory.stock";
/// Category of the streams of reservations.
pub const RESERVATION: &str = "inventory.reservation";

/// The stream of the stock of product `id`.
#[must_use]
pub const fn stock(id: ProductId) -> Stream {
    Stream::new(STOCK, id.get())
}

/// The stream of what is reserved for order `id`.
#[must_use]
pub const fn reservation(id: OrderId) -> Stream {
    Stream::new(RESERVATION, id.get())
}
