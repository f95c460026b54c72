//! The headers of a message as a JSON Schema, from the relay's own list of them.

use relay::cloud_event::{Form, HEADERS, Header, Presence};
use serde_json::{Map, Value, json};

/// What every message has as headers: an object of their names and values.
pub(super) fn schema() -> Value {
    let always = HEADERS.iter().filter(|header| header.presence == Presence::Always);
    let required: Vec<_> = always.map(|header| header.name).collect();
    let properties: Map<_, _> =
        HEADERS.iter().map(|header| (header.name.to_owned(), value(header))).collect();
    json!({
        "title": "Headers of a message",
        "description": "CloudEvents 1.0 for NATS in binary mode. \
            Names are case-sensitive and exactly as written here. \
            More headers may come: ignore those you do not know.",
        "type": "object",
        "required": required,
        "properties": properties,
    })
}

fn value(header: &Header) -> Value {
    let description = match header.presence {
        Presence::Always => header.holds.to_owned(),
        Presence::Sometimes(when) => format!("{} ({when})", header.holds),
    };
    let (keyword, form) = match header.form {
        Form::Exactly(text) => ("const", text),
        Form::Uuid => ("format", "uuid"),
        Form::Time => ("format", "date-time"),
        Form::Matching(pattern) => ("pattern", pattern),
    };
    json!({ "type": "string", "description": description, keyword: form })
}
