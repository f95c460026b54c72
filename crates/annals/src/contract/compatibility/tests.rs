#![expect(
    clippy::needless_pass_by_value,
    reason = "schemas are written where they are handed over"
)]

use serde_json::{Value, json};

use super::super::documents::documents;
use super::*;

const NAME: &str = "testing.it-happened.v1";

/// A contract of one message, whose data is of this schema, in a document with these headers.
fn contract(schema: Value, headers: Value) -> Documents {
    let document = json!({
        "channels": { NAME: { "address": format!("{{namespace}}.{NAME}") } },
        "components": { "schemas": { "headers": headers } },
    });
    [(schema_path(NAME), schema), (ASYNC_API.to_owned(), document)].into()
}

/// A message whose members have these schemas and are all required.
fn message(members: Value) -> Value {
    let required: Vec<_> = members.as_object().unwrap().keys().cloned().collect();
    json!({ "$id": "urn:test", "type": "object", "properties": members, "required": required })
}

fn told(before: &Documents, now: &Documents) -> Vec<String> {
    breaks(before, now).iter().map(ToString::to_string).collect()
}

/// What is told when the data changes from one schema to another.
fn data(before: Value, now: Value) -> Vec<String> {
    told(&contract(before, json!({})), &contract(now, json!({})))
}

/// What is told when a member changes from one schema to another.
fn member(before: Value, now: Value) -> Vec<String> {
    data(message(json!({ "total": before })), message(json!({ "total": now })))
}

/// The sentence about the message, as it ends.
fn instead(what: &str) -> Vec<String> {
    vec![format!("{NAME}: {what}; publish it as testing.it-happened.v2 instead")]
}

#[test]
fn what_is_the_same_breaks_nothing() {
    assert_eq!(told(&documents(), &documents()), Vec::<String>::new());
}

#[test]
fn a_removed_member_breaks() {
    let before = message(json!({ "total": { "type": "integer" }, "id": { "type": "string" } }));
    let now = message(json!({ "id": { "type": "string" } }));
    assert_eq!(data(before, now), instead("member `total` was removed"));
}

#[test]
fn a_removed_member_breaks_even_if_it_was_optional() {
    let before = json!({ "type": "object", "properties": { "note": { "type": "string" } } });
    let now = json!({ "type": "object", "properties": {} });
    assert_eq!(data(before, now), instead("member `note` was removed"));
}

#[test]
fn a_renamed_member_breaks() {
    let before = message(json!({ "total": { "type": "integer" } }));
    let now = message(json!({ "sum": { "type": "integer" } }));
    assert_eq!(data(before, now), instead("member `total` was removed"));
}

#[test]
fn a_member_that_may_be_missing_now_breaks() {
    let before = message(json!({ "total": { "type": "integer" } }));
    let mut now = before.clone();
    now["required"] = json!([]);
    assert_eq!(
        data(before, now),
        instead("member `total` was always there and may be missing now")
    );
}

#[test]
fn another_type_breaks() {
    for (before, now) in [
        (json!("integer"), json!("string")),
        (json!("integer"), json!("number")),
        (json!("integer"), json!(["integer", "null"])),
    ] {
        let expected = instead(&format!("`type` of member `total` was `{before}` and is `{now}`"));
        assert_eq!(member(json!({ "type": before }), json!({ "type": now })), expected);
    }
}

#[test]
fn what_is_loosened_breaks() {
    for (keyword, before, now) in [
        ("format", json!("uuid"), json!("date-time")),
        ("pattern", json!("^[A-Z]{3}$"), json!("^[A-Z]{2,3}$")),
        ("enum", json!(["a", "b"]), json!(["a", "b", "c"])),
        ("const", json!("a"), json!("b")),
        ("minimum", json!(1), json!(0)),
        ("maximum", json!(i64::MAX), json!(u64::MAX)),
        ("minLength", json!(1), json!(0)),
        ("maxLength", json!(64), json!(65)),
        ("minItems", json!(1), json!(0)),
        ("maxItems", json!(100), json!(101)),
        ("oneOf", json!([{ "type": "string" }]), json!([{ "type": "integer" }])),
    ] {
        let what = format!("`{keyword}` of member `total` was `{before}` and is");
        let loosened = member(json!({ keyword: before }), json!({ keyword: now }));
        assert_eq!(loosened, instead(&format!("{what} `{now}`")));
        let gone = member(json!({ keyword: before }), json!({}));
        assert_eq!(gone, instead(&format!("{what} gone")));
    }
}

#[test]
fn what_is_deep_inside_is_found_and_named() {
    let schema = |quantity: Value| {
        let mut schema =
            message(json!({ "lines": { "type": "array", "items": { "$ref": "#/$defs/Line" } } }));
        schema["$defs"] = json!({
            "Line": message(json!({ "quantity": { "$ref": "#/$defs/Quantity" } })),
            "Quantity": quantity,
        });
        schema
    };
    let found = data(schema(json!({ "minimum": 1 })), schema(json!({ "minimum": 0 })));
    assert_eq!(found, instead("`minimum` of member `lines[].quantity` was `1` and is `0`"));
}

#[test]
fn a_schema_that_refers_to_itself_comes_to_an_end() {
    let schema = |kind: &str| {
        json!({
            "type": "object",
            "properties": { "value": { "type": kind }, "next": { "$ref": "#" } },
        })
    };
    assert_eq!(data(schema("string"), schema("string")), Vec::<String>::new());
    let found = data(schema("string"), schema("integer"));
    assert!(found.iter().any(|found| found.contains("member `value`")), "{found:?}");
}

#[test]
fn a_definition_may_be_moved_and_renamed() {
    let referring = json!({
        "$defs": { "Money": { "type": "integer" } },
        "type": "object",
        "properties": { "total": { "$ref": "#/$defs/Money" } },
    });
    let plain = json!({ "type": "object", "properties": { "total": { "type": "integer" } } });
    assert_eq!(data(referring.clone(), plain.clone()), Vec::<String>::new());
    assert_eq!(data(plain, referring), Vec::<String>::new());
}

#[test]
fn another_schema_id_breaks() {
    let before = message(json!({}));
    let mut now = before.clone();
    now["$id"] = json!("urn:other");
    assert_eq!(data(before, now), instead(r#"`$id` was `"urn:test"` and is `"urn:other"`"#));
}

#[test]
fn a_message_that_is_gone_breaks() {
    let before = contract(message(json!({})), json!({}));
    let mut now = before.clone();
    now.remove(&schema_path(NAME));
    assert_eq!(told(&before, &now), instead("it was removed"));
}

#[test]
fn another_subject_breaks() {
    let before = contract(message(json!({})), json!({}));
    let mut now = before.clone();
    now.get_mut(ASYNC_API).unwrap()["channels"][NAME]["address"] = json!("elsewhere");
    let what = format!("its subject was `{{namespace}}.{NAME}` and is `elsewhere`");
    assert_eq!(told(&before, &now), instead(&what));
}

#[test]
fn headers_are_promised_to_readers_of_every_message() {
    let headers = |headers: Value| contract(message(json!({})), message(headers));
    let before = headers(json!({ "ce-id": { "format": "uuid" }, "ce-time": {} }));
    let renamed = headers(json!({ "CE-Id": { "format": "uuid" }, "ce-time": {} }));
    let loosened = headers(json!({ "ce-id": {}, "ce-time": {} }));
    let expected =
        |what: &str| vec![format!("every message: {what}; readers rely on it, so keep it")];
    assert_eq!(told(&before, &renamed), expected("header `ce-id` was removed"));
    assert_eq!(
        told(&before, &loosened),
        expected(r#"`format` of header `ce-id` was `"uuid"` and is gone"#)
    );
    let more = headers(json!({ "ce-id": { "format": "uuid" }, "ce-tenant": {}, "ce-time": {} }));
    assert_eq!(told(&before, &more), Vec::<String>::new());
}

#[test]
fn what_is_added_or_promised_beyond_breaks_nothing() {
    let before = json!({
        "type": "object",
        "properties": {
            "total": { "type": "number", "minimum": 0, "enum": [1, 2, 3], "title": "Total" },
        },
        "required": [],
    });
    let now = json!({
        "type": "object",
        "description": "Said otherwise.",
        "properties": {
            "total": { "type": "integer", "minimum": 1, "maximum": 3, "enum": [1, 2] },
            "note": { "type": "string" },
        },
        "required": ["total", "note"],
    });
    assert_eq!(data(before, now), Vec::<String>::new());
    let earlier = contract(message(json!({})), json!({}));
    let mut more = earlier.clone();
    more.insert(schema_path("testing.more-happened.v1"), message(json!({})));
    assert_eq!(told(&earlier, &more), Vec::<String>::new());
}
