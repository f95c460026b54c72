//! What describes a public message to those who read it, derived from its Rust type.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::Value;

use crate::PayloadType;

/// What describes one type of message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The type that is described.
    pub payload_type: PayloadType,
    /// A JSON Schema (draft 2020-12) of what is written.
    ///
    /// Documentation comments are its descriptions; the constraints of value objects are what their
    /// parsers accept. Members that it does not name are allowed, for there may be more of them
    /// later. It has no `$id`: under which name it is published is not for the domain to say.
    pub schema: Value,
    /// A message of this type as JSON: its golden file.
    pub example: &'static str,
}

impl Description {
    /// Describes `T`, which is written under `payload_type`.
    pub(crate) fn of<T: JsonSchema>(payload_type: PayloadType, example: &'static str) -> Self {
        let settings = SchemaSettings::draft2020_12()
            .for_serialize()
            .with_transform(RecursiveTransform(for_readers));
        let schema = settings.into_generator().into_root_schema_for::<T>();
        Self { payload_type, schema: schema.to_value(), example }
    }
}

/// Leaves out what says how a Rust type is kept or read, instead of what is written.
fn for_readers(schema: &mut Schema) {
    // How wide an integer is here. JSON Schema has no such formats; bounds say it exactly.
    if schema.get("type").is_some_and(|kind| kind == "integer") {
        schema.remove("format");
    }
    // Some types refuse members they do not know when they are read; what is written may get more.
    schema.remove("additionalProperties");
}
