//! Parameters that operations take: of the path, of the query, and headers.

use serde_json::{Value, json};

use crate::layers::Key;
use crate::page::{DEFAULT_LIMIT, MOST};

/// A parameter of an operation.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    pub(crate) place: Place,
    pub(crate) required: bool,
    pub(crate) description: &'static str,
    /// JSON Schema.
    pub(crate) schema: Value,
    pub(crate) example: Value,
}

/// Where a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Path,
    Query,
    Header,
}

impl Place {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

impl Parameter {
    /// A part of the address.
    pub(crate) const fn path(
        name: &'static str,
        description: &'static str,
        schema: Value,
        example: Value,
    ) -> Self {
        Self { name, place: Place::Path, required: true, description, schema, example }
    }

    /// The id of what is meant.
    pub(crate) fn id(description: &'static str) -> Self {
        let schema = json!({"type": "string", "format": "uuid"});
        Self::path("id", description, schema, json!("01943c5e-7b1a-7cc0-9d3f-2f6f3f0e8a11"))
    }

    /// A parameter of the query, which may be absent.
    pub(crate) const fn query(
        name: &'static str,
        description: &'static str,
        schema: Value,
        example: Value,
    ) -> Self {
        Self { name, place: Place::Query, required: false, description, schema, example }
    }

    /// A parameter of the query that takes one of `values`; the first is what holds without it.
    pub(crate) fn choice(name: &'static str, description: &'static str, values: &[&str]) -> Self {
        let schema = json!({"type": "string", "enum": values});
        Self::query(name, description, schema, json!(values.first()))
    }

    /// Which must be given.
    pub(crate) fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// A header, which may be absent.
    pub(crate) const fn header(
        name: &'static str,
        description: &'static str,
        schema: Value,
        example: Value,
    ) -> Self {
        Self { name, place: Place::Header, required: false, description, schema, example }
    }
}

pub(super) fn limit() -> Parameter {
    let schema =
        json!({"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_LIMIT});
    Parameter::query("limit", "How many items the page has at most.", schema, json!(10))
}

pub(super) fn cursor() -> Parameter {
    let description = "The `next_cursor` of another page of the same query: the page begins behind \
                       that one. `limit` may differ.";
    // An example could not be used: cursors are signed.
    let schema = json!({"type": "string", "pattern": "^[A-Za-z0-9_-]+$"});
    Parameter::query("cursor", description, schema, Value::Null)
}

pub(super) fn as_of() -> Parameter {
    let description = "Answer what was at this moment: a time with its offset, or a position of the \
                       log. It is read from the log, which nothing is fresher than.";
    let schema = json!({
        "type": "string",
        "oneOf": [
            {"format": "date-time", "not": {"pattern": "^position:"}},
            {"pattern": "^position:(0|[1-9][0-9]{0,17})$"},
        ],
    });
    Parameter::query("as_of", description, schema, json!("position:1"))
}

pub(super) fn min_position() -> Parameter {
    let description = "Wait until what is asked for is at least as fresh as this position of the log, \
                       the `Annals-Position` of an answer.";
    let schema = json!({"type": "integer", "minimum": 0, "maximum": i64::MAX});
    Parameter::header("Annals-Min-Position", description, schema, json!(1))
}

pub(super) fn organization() -> Parameter {
    let description = "The organization to act in, which the user belongs to: nothing else is seen, and \
                       what is done is done for it. Without it, what belongs to no organization is \
                       meant, or everything for those who may see everything.";
    let schema = json!({"type": "string", "format": "uuid"});
    Parameter::header("Annals-Organization", description, schema, Value::Null)
}

pub(super) fn if_none_match() -> Parameter {
    let description = "The `ETag` of the state the client has.";
    Parameter::header("If-None-Match", description, json!({"type": "string"}), json!("\"1-2\""))
}

pub(super) fn if_match() -> Parameter {
    let description = "The `ETag` of the state that the client has seen, or `*`: the command is \
                       refused if the aggregate has changed since.";
    let schema = json!({"type": "string", "pattern": r#"^(\*|(W/)?"[!#-~]*")$"#});
    Parameter::header("If-Match", description, schema, json!("\"1-2\"")).required()
}

pub(super) fn idempotency_key(key: Key) -> Parameter {
    let description = "A name of the client's for this command: sent again under the same name it has \
                       no second effect and the same answer.";
    let schema = json!({"type": "string", "pattern": "^[ -~]{1,255}$"});
    let parameter = Parameter::header(
        "Idempotency-Key",
        description,
        schema,
        json!("8e03978e-40d5-43e8-bc93-6894a57f9324"),
    );
    Parameter { required: matches!(key, Key::Required), ..parameter }
}
