//! Amounts of money on the wire.

use domain::values::Money;
use schemars::JsonSchema;
use serde::Serialize;

use crate::body::{Fields, Shape};

/// Minor units of a currency.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Money")]
pub(crate) struct MoneyBody {
    /// In minor units, for example cents.
    pub(crate) amount: i64,
    /// ISO 4217.
    pub(crate) currency: String,
}

impl Shape for Money {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (amount, currency) = (fields.value("amount"), fields.value("currency"));
        Self::new(amount?, currency?)
            .map_err(|error| fields.refuse::<()>("amount", error.to_string()))
            .ok()
    }
}
