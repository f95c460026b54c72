//! The events that every peer stores: an order that was placed, about 300 bytes of JSON, with about
//! 100 bytes of metadata. For a read model it has one line instead of three, and is confirmed.
//!
//! They are the same structs for all; a peer that has a format of its own encodes them in that.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// A customer placed an order.
#[derive(
    Clone, Debug, Default, PartialEq, Serialize, Deserialize, bitcode::Encode, bitcode::Decode,
)]
pub(crate) struct OrderPlaced {
    /// Unique in a run, by which a subscriber knows what it has seen.
    pub(crate) number: u64,
    customer: String,
    pub(crate) currency: String,
    pub(crate) total_cents: u64,
    pub(crate) placed_at: String,
    lines: Vec<Line>,
}

#[derive(
    Clone, Debug, Default, PartialEq, Serialize, Deserialize, bitcode::Encode, bitcode::Decode,
)]
struct Line {
    sku: String,
    quantity: u32,
    price_cents: u64,
}

impl OrderPlaced {
    pub(crate) fn new(number: u64) -> Self {
        let line = |sku: &str, quantity, price_cents| Line {
            sku: format!("{sku}-{:04}", number % 10_000),
            quantity,
            price_cents,
        };
        Self {
            number,
            customer: format!("customer-{number:010}"),
            currency: "EUR".to_owned(),
            total_cents: 10_947,
            placed_at: "2026-01-31T12:34:56.789Z".to_owned(),
            lines: vec![line("CHAIR", 2, 3_499), line("LAMP", 1, 2_450), line("RUG", 1, 1_499)],
        }
    }

    /// With one line, and a total that depends on the number: a read model that has mixed up
    /// orders has another sum.
    pub(crate) fn with_one_line(number: u64) -> Self {
        let mut order = Self::new(number);
        order.lines.truncate(1);
        for line in &mut order.lines {
            line.price_cents += number % 1_000;
        }
        let total = order.lines.iter().map(|line| u64::from(line.quantity) * line.price_cents);
        Self { total_cents: total.sum(), ..order }
    }
}

/// An order was confirmed.
#[derive(
    Clone, Debug, Default, PartialEq, Serialize, Deserialize, bitcode::Encode, bitcode::Decode,
)]
pub(crate) struct OrderConfirmed {
    number: u64,
    confirmed_at: String,
}

impl OrderConfirmed {
    pub(crate) fn new(number: u64) -> Self {
        Self { number, confirmed_at: "2026-01-31T12:34:57.123Z".to_owned() }
    }
}

/// What is known of an event besides what happened: text by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Metadata(pub(crate) HashMap<String, String>);

impl Metadata {
    pub(crate) fn new(number: u64) -> Self {
        let correlation = format!("0198c0de-0000-7000-8000-{number:012}");
        let entries = [
            ("correlation_id", correlation),
            ("actor", "storefront".to_owned()),
            ("trace", format!("{number:016x}")),
        ];
        Self(entries.map(|(name, value)| (name.to_owned(), value)).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_as_promised() {
        for number in [0, 99_999, 12_345_678] {
            let event = serde_json::to_string(&OrderPlaced::new(number)).unwrap();
            assert!((280..=320).contains(&event.len()), "{} bytes: {event}", event.len());
            let metadata = serde_json::to_string(&Metadata::new(number)).unwrap();
            assert!((90..=115).contains(&metadata.len()), "{} bytes: {metadata}", metadata.len());
        }
    }

    #[test]
    fn one_line_makes_the_total() {
        let order = OrderPlaced::with_one_line(1_007);
        assert_eq!((order.lines.len(), order.total_cents), (1, 2 * 3_506));
    }
}
