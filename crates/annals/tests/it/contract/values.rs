//! Value objects and their schemas agree: what the parser takes is valid, and what is not valid the
//! parser does not take.

use domain::values::{Currency, Money, ProductName, Quantity, Sku};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::support::Questions;

/// How many values are tried of each kind.
const CASES: usize = 400;

/// Texts around the edge of what `good`, a regular expression, matches, which takes at most
/// `longest` characters.
fn texts(good: &str, longest: usize) -> impl Strategy<Value = Value> + use<> {
    let good = proptest::string::string_regex(good).unwrap().boxed();
    let odd = proptest::string::string_regex(
        "[\\x00-\\x20\\x7f-\\xa0\\u{1680}\\u{2000}-\\u{200b}\\u{2028}\\u{2029}\\u{202f}\\u{205f}\\u{3000}\\u{feff}ÄЖ😀a!]{0,2}",
    )
    .unwrap()
    .boxed();
    let texts = prop_oneof![
        good.clone(),
        odd.clone(),
        (good.clone(), odd, good).prop_map(|(before, odd, after)| before + &odd + &after),
        // Characters are counted, neither bytes nor UTF-16.
        (longest - 2..=longest + 2, "[aA😀]")
            .prop_map(|(length, character)| character.repeat(length)),
        any::<String>(),
    ];
    // The `$` of JSON Schema matches at the end only; Python's also before a last line feed.
    texts.prop_filter("no line feed at the end", |text| !text.ends_with('\n')).prop_map(Value::from)
}

/// Numbers around the edges of `range`, and some from anywhere.
fn numbers(range: std::ops::RangeInclusive<i64>) -> impl Strategy<Value = Value> + use<> {
    let (least, most) = range.clone().into_inner();
    prop_oneof![
        range.prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (least.saturating_sub(2)..=least.saturating_add(2)).prop_map(Value::from),
        (most.saturating_sub(2)..=most.saturating_add(2)).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
    ]
}

/// What is of another type altogether.
fn others() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        Just(json!([])),
        Just(json!({})),
        any::<bool>().prop_map(Value::from),
        (0.1..0.9).prop_map(Value::from),
        "[a-zA-Z0-9]{0,3}".prop_map(Value::from),
        (0..9).prop_map(Value::from),
    ]
}

/// What is asked about values of one kind.
#[derive(Default)]
struct Agreement {
    questions: Questions,
    parsed: Vec<(String, Value, bool)>,
}

impl Agreement {
    /// Asks about values of `strategy` as a `T`, whose schema is at `pointer` of `message`.
    fn ask<T: DeserializeOwned>(
        &mut self,
        message: &str,
        pointer: &str,
        strategy: impl Strategy<Value = Value>,
    ) {
        let mut runner = TestRunner::deterministic();
        let strategy = prop_oneof![9 => strategy, 1 => others()];
        for _ in 0..CASES {
            let value = strategy.new_tree(&mut runner).unwrap().current();
            self.questions.ask(&format!("urn:annals:schema:{message}#{pointer}"), &value);
            let parses = serde_json::from_value::<T>(value.clone()).is_ok();
            self.parsed.push((pointer.to_owned(), value, parses));
        }
    }

    /// The values that parser and schema judge differently; both must accept and refuse some.
    fn disagreements(self) -> Vec<(Value, bool)> {
        let mut different = Vec::new();
        let mut seen = std::collections::BTreeMap::<String, [usize; 2]>::new();
        for ((pointer, value, parses), wrong) in
            self.parsed.into_iter().zip(self.questions.answers())
        {
            let is_valid = wrong.is_empty();
            seen.entry(pointer).or_default()[usize::from(is_valid)] += 1;
            if parses != is_valid {
                different.push((value, parses));
            }
        }
        for (pointer, counts) in seen {
            assert!(
                counts.iter().all(|count| *count > 20),
                "{pointer}: {counts:?} is too one-sided"
            );
        }
        different
    }
}

#[test]
fn parsers_and_schemas_accept_the_same() {
    let mut agreement = Agreement::default();
    let (listed, placed) = ("catalog.product-listed.v1", "ordering.order-placed.v1");
    agreement.ask::<Sku>(listed, "/$defs/Sku", texts("[A-Za-z0-9._-]{0,70}", 64));
    agreement.ask::<ProductName>(listed, "/$defs/ProductName", texts(r"[\PC]{0,110}", 200));
    agreement.ask::<Quantity>(placed, "/$defs/Quantity", numbers(1..=1_000_000));
    agreement.ask::<Money>(
        listed,
        "/$defs/Money",
        numbers(0..=i64::MAX).prop_map(|amount| json!({ "amount": amount, "currency": "EUR" })),
    );
    assert_eq!(agreement.disagreements(), []);
}

/// Which codes there are is in ISO 4217 and not in the schema: it does not get another version
/// when a currency gets a name.
#[test]
fn a_currency_is_in_the_shape_of_a_code() {
    let mut agreement = Agreement::default();
    let codes = prop_oneof![
        proptest::sample::select(currencies()).prop_map(Value::from),
        texts("[A-Z]{2,4}", 3),
        texts("[A-Za-z]{3}", 3)
    ];
    agreement.ask::<Currency>("catalog.product-listed.v1", "/$defs/Currency", codes);
    for (value, parses) in agreement.disagreements() {
        let code = value.as_str().unwrap();
        assert!(!parses, "{code} is a currency, but the schema refuses it");
        assert!(code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()), "{code}");
    }
}

/// Every code that the parser knows.
fn currencies() -> Vec<String> {
    let letters = || 'A'..='Z';
    let pairs = letters().flat_map(|one| letters().map(move |two| (one, two)));
    let codes =
        pairs.flat_map(|(one, two)| letters().map(move |three| format!("{one}{two}{three}")));
    let known: Vec<_> = codes.filter(|code| code.parse::<Currency>().is_ok()).collect();
    assert!(known.len() > 150, "{known:?}");
    known
}
