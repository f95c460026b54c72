//! Value objects: they parse, so that nothing behind them validates again.

mod money;
mod name;
mod quantity;
mod sku;

pub use money::{Currency, InvalidMoney, Money};
pub use name::{InvalidName, ProductName};
pub use quantity::{InvalidQuantity, Quantity, StockLevel};
pub use sku::{InvalidSku, Sku};
