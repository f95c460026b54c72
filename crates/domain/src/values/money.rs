//! Amounts of money, exact.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Quantity;

/// An amount that is not negative, in the minor unit of its currency (cents for EUR).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    amount: Amount,
    currency: Currency,
}

impl Money {
    /// Takes `amount` minor units of `currency`.
    ///
    /// # Errors
    /// [`InvalidMoney`]: the amount is negative.
    pub fn new(amount: i64, currency: Currency) -> Result<Self, InvalidMoney> {
        Ok(Self { amount: amount.try_into()?, currency })
    }

    /// Nothing, in `currency`.
    #[must_use]
    pub const fn zero(currency: Currency) -> Self {
        Self { amount: Amount(0), currency }
    }

    /// Minor units.
    #[must_use]
    pub const fn amount(self) -> i64 {
        self.amount.0
    }

    /// The currency.
    #[must_use]
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// `self` taken `quantity` times; `None` if it does not fit.
    #[must_use]
    pub fn checked_mul(self, quantity: Quantity) -> Option<Self> {
        let amount = self.amount.0.checked_mul(i64::from(quantity.get()))?;
        Some(Self { amount: Amount(amount), ..self })
    }

    /// The sum; `None` if the currencies differ or it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if self.currency != other.currency {
            return None;
        }
        let amount = self.amount.0.checked_add(other.amount.0)?;
        Some(Self { amount: Amount(amount), ..self })
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount.0, self.currency)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "i64")]
#[schemars(extend("minimum" = 0, "maximum" = i64::MAX))]
struct Amount(i64);

impl TryFrom<i64> for Amount {
    type Error = InvalidMoney;

    fn try_from(amount: i64) -> Result<Self, InvalidMoney> {
        if amount < 0 { Err(InvalidMoney::Negative) } else { Ok(Self(amount)) }
    }
}

/// A currency by its ISO 4217 code.
///
/// Now and then the list gets another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("pattern" = "^[A-Z]{3}$"))]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The three letters.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }
}

impl FromStr for Currency {
    type Err = InvalidMoney;

    fn from_str(code: &str) -> Result<Self, InvalidMoney> {
        iso_currency::Currency::from_code(code)
            .map(Self)
            .ok_or_else(|| InvalidMoney::UnknownCurrency(code.chars().take(8).collect()))
    }
}

impl TryFrom<String> for Currency {
    type Error = InvalidMoney;

    fn try_from(code: String) -> Result<Self, InvalidMoney> {
        code.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// The value is no amount of money.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMoney {
    /// Amounts count from zero.
    #[error("an amount must not be negative")]
    Negative,
    /// The code is not in ISO 4217.
    #[error("{0:?} is no ISO 4217 currency code, such as \"EUR\"")]
    UnknownCurrency(String),
}
