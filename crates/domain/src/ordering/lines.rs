//! What an order asks for.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::ProductId;
use crate::values::Quantity;

const MOST: usize = 100;

/// The lines of an order: 1 to 100, no product twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Vec<RequestedLine>", into = "Vec<RequestedLine>")]
#[schemars(extend("minItems" = 1, "maxItems" = MOST))]
pub struct RequestedLines(Vec<RequestedLine>);

/// Some of one product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestedLine {
    /// The product.
    pub product_id: ProductId,
    /// How many.
    pub quantity: Quantity,
}

impl RequestedLines {
    /// The lines in the order they were given.
    #[must_use]
    pub fn as_slice(&self) -> &[RequestedLine] {
        &self.0
    }
}

impl TryFrom<Vec<RequestedLine>> for RequestedLines {
    type Error = InvalidLines;

    fn try_from(lines: Vec<RequestedLine>) -> Result<Self, InvalidLines> {
        if lines.is_empty() || lines.len() > MOST {
            return Err(InvalidLines::Count(lines.len()));
        }
        let mut seen = BTreeSet::new();
        match lines.iter().find(|line| !seen.insert(line.product_id)) {
            Some(repeated) => Err(InvalidLines::Repeated(repeated.product_id)),
            None => Ok(Self(lines)),
        }
    }
}

impl From<RequestedLines> for Vec<RequestedLine> {
    fn from(lines: RequestedLines) -> Self {
        lines.0
    }
}

/// The lines make no order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLines {
    /// Too few or too many.
    #[error("an order has 1 to {MOST} lines, not {0}")]
    Count(usize),
    /// The same product in two lines.
    #[error("product {0} is in more than one line; add the quantities")]
    Repeated(ProductId),
}
