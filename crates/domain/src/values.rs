//! Value objects: they parse, so that nothing behind them validates again.

mod email;
mod money;
mod name;
mod personal;
mod quantity;
mod sku;

pub use email::{Email, InvalidEmail};
pub use money::{Currency, InvalidMoney, Money};
pub use name::{ApiKeyName, InvalidName, OrganizationName, PersonName, ProductName};
pub use personal::Personal;
pub use quantity::{InvalidQuantity, Quantity, StockLevel};
pub use sku::{InvalidSku, Sku};
