//! The documents of the public contract, made from the types they describe.
//!
//! A JSON Schema for each message and an AsyncAPI document that says where messages are and how
//! they come. Nothing is written by hand here that a type could say: shapes and descriptions are
//! the domain's ([`Message::descriptions`]), headers are the relay's ([`relay::cloud_event`]).

use std::collections::BTreeMap;

use domain::Message;
use domain::message::Description;
use relay::cloud_event::data_schema;
use serde_json::{Value, json};

use super::async_api;

/// The AsyncAPI document's name.
pub const ASYNC_API: &str = "asyncapi.json";

/// Documents by their path in the contract's directory.
pub type Documents = BTreeMap<String, Value>;

/// Every document of the contract.
#[must_use]
pub fn documents() -> Documents {
    let descriptions = Message::descriptions();
    let schemas = descriptions.iter().map(|description| {
        (schema_path(&description.payload_type.to_string()), schema(description))
    });
    let mut documents: Documents = schemas.collect();
    documents.insert(ASYNC_API.to_owned(), async_api::document(&descriptions));
    documents
}

/// Where the schema of `message_type` is.
#[must_use]
pub fn schema_path(message_type: &str) -> String {
    format!("schemas/{message_type}.json")
}

/// The text of a document, as it is committed and printed.
#[must_use]
pub fn text(document: &Value) -> String {
    format!("{document:#}\n")
}

/// The schema of a message under the name by which its headers refer to it.
fn schema(description: &Description) -> Value {
    let mut schema = description.schema.clone();
    let says = schema["description"].as_str().unwrap_or_default();
    schema["description"] = json!(format!(
        "{says}\n\nWithin this version members may be added: ignore those you do not know."
    ));
    schema["$id"] = json!(data_schema(&description.payload_type.to_string()));
    schema
}
