//! The AsyncAPI 3 document, as seen by an application that receives the messages.

use domain::message::Description;
use relay::cloud_event::data_schema;
use serde_json::{Map, Value, json};

use super::{documents, headers};

const ABOUT: &str = "What Annals tells other systems, on one NATS JetStream stream. \
    The application described here is the reader: it receives, and must not publish on these \
    subjects. \
    Messages are at least once for each reader and in the order of the log, but for those with \
    `ce-late`, which come later and in the order of their `ce-subject`; the same message has the \
    same `ce-id`. \
    Within a version nothing is removed, renamed or given another meaning; members and headers may \
    be added, so ignore what you do not know.";

/// The document over all messages.
pub(super) fn document(descriptions: &[Description]) -> Value {
    let channels: Map<_, _> = descriptions.iter().map(channel).collect();
    let operations: Map<_, _> = descriptions.iter().map(operation).collect();
    let messages: Map<_, _> = descriptions.iter().map(message).collect();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Annals: public messages",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": env!("CARGO_PKG_LICENSE") },
        },
        "defaultContentType": "application/json",
        "servers": { "nats": server() },
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "parameters": { "namespace": namespace() },
            "schemas": { "headers": headers::schema() },
        },
    })
}

fn server() -> Value {
    json!({
        "host": "{host}",
        "protocol": "nats",
        "description": "A nats-server with JetStream. \
            The stream is named like the namespace, in capitals: `ANNALS`.",
        "variables": {
            "host": { "default": "localhost:4222", "description": "Where the broker is." },
        },
    })
}

fn namespace() -> Value {
    json!({
        "default": relay::Namespace::default().as_str(),
        "description": "The setting `nats.namespace`: 1 to 32 lower-case letters, digits, `-` and `_`.",
    })
}

fn channel(description: &Description) -> (String, Value) {
    let name = description.payload_type.to_string();
    let channel = json!({
        "address": format!("{{namespace}}.{name}"),
        "title": title(description),
        "parameters": { "namespace": { "$ref": "#/components/parameters/namespace" } },
        "messages": { &name: { "$ref": format!("#/components/messages/{name}") } },
        "servers": [{ "$ref": "#/servers/nats" }],
    });
    (name, channel)
}

fn operation(description: &Description) -> (String, Value) {
    let name = description.payload_type.to_string();
    let operation = json!({
        "action": "receive",
        "channel": { "$ref": format!("#/channels/{name}") },
        "summary": summary(description),
        "messages": [{ "$ref": format!("#/channels/{name}/messages/{name}") }],
    });
    (format!("receive.{name}"), operation)
}

fn message(description: &Description) -> (String, Value) {
    let name = description.payload_type.to_string();
    let example: Value =
        serde_json::from_str(description.example).unwrap_or_else(|error| panic!("{name}: {error}"));
    let message = json!({
        "name": name,
        "title": title(description),
        "summary": summary(description),
        "contentType": "application/json",
        "correlationId": { "location": "$message.header#/ce-correlationid" },
        "headers": of_this_type(&name),
        "payload": { "$ref": format!("./{}", documents::schema_path(&name)) },
        "examples": [{ "payload": example }],
    });
    (name, message)
}

/// The headers of every message, with those whose value follows from the type.
fn of_this_type(name: &str) -> Value {
    let subject = format!(r"^[a-z0-9_-]{{1,32}}\.{}$", name.replace('.', r"\."));
    json!({
        "type": "object",
        "allOf": [
            { "$ref": "#/components/schemas/headers" },
            {
                "properties": {
                    "ce-type": { "pattern": subject },
                    "ce-dataschema": { "const": data_schema(name) },
                },
            },
        ],
    })
}

fn title(description: &Description) -> &Value {
    &description.schema["title"]
}

/// The first paragraph of what it says.
fn summary(description: &Description) -> &str {
    let says = description.schema["description"].as_str().unwrap_or_default();
    says.split("\n\n").next().unwrap_or_default()
}
