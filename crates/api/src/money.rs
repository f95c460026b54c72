//! Amounts of money on the wire.

use serde::Serialize;

/// Minor units of a currency.
#[derive(Debug, Serialize)]
pub(crate) struct MoneyBody {
    pub(crate) amount: i64,
    pub(crate) currency: String,
}
