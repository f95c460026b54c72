//! Value objects: they parse, so that nothing behind them validates again.

mod email;
mod external_identity;
mod money;
mod name;
mod personal;
mod quantity;
mod sku;

pub use email::{Email, InvalidEmail};
pub use external_identity::{
    ExternalIdentity, InvalidExternalIdentity, InvalidProviderName, ProviderName,
};
pub use money::{Currency, InvalidMoney, Money};
pub use name::{ApiKeyName, InvalidName, OrganizationName, PersonName, ProductName};
pub use personal::Personal;
pub use quantity::{InvalidQuantity, Quantity, StockLevel};
pub use sku::{InvalidSku, Sku};
