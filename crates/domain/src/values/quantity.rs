//! How many of a thing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const MOST: i64 = 1_000_000;

/// How many are asked for: 1 to 1,000,000.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "i64")]
#[schemars(extend("minimum" = 1, "maximum" = MOST))]
pub struct Quantity(u32);

impl Quantity {
    /// The bare number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<i64> for Quantity {
    type Error = InvalidQuantity;

    fn try_from(value: i64) -> Result<Self, InvalidQuantity> {
        match u32::try_from(value) {
            Ok(quantity) if (1..=MOST).contains(&value) => Ok(Self(quantity)),
            _ => Err(InvalidQuantity { least: 1 }),
        }
    }
}

/// How many there are: 0 to 1,000,000 at a time.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "i64")]
#[schemars(extend("minimum" = 0, "maximum" = MOST))]
pub struct StockLevel(u32);

impl StockLevel {
    /// The bare number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The same as a quantity, unless there is nothing.
    #[must_use]
    pub fn quantity(self) -> Option<Quantity> {
        (self.0 > 0).then_some(Quantity(self.0))
    }
}

impl TryFrom<i64> for StockLevel {
    type Error = InvalidQuantity;

    fn try_from(value: i64) -> Result<Self, InvalidQuantity> {
        match u32::try_from(value) {
            Ok(level) if value <= MOST => Ok(Self(level)),
            _ => Err(InvalidQuantity { least: 0 }),
        }
    }
}

/// The number is too small or too large to be a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be between {least} and {MOST}")]
pub struct InvalidQuantity {
    least: i64,
}
