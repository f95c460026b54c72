//! The headers of a message, described for those who read it.
//!
//! The published contract and the table in docs/messages.md are made from this list, and tests hold
//! it against messages that were really sent.

use super::{CONTENT_TYPE, SPEC_VERSION, header};

/// A header, as the contract promises it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Its name, exactly as it is on the wire.
    pub name: &'static str,
    /// What it holds; Markdown, a part of a sentence.
    pub holds: &'static str,
    /// Whether every message has it.
    pub presence: Presence,
    /// What its value looks like.
    pub form: Form,
}

/// Whether every message has a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Every message has it.
    Always,
    /// Some have it: when is a part of a sentence.
    Sometimes(&'static str),
}

/// What the value of a header looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// This text.
    Exactly(&'static str),
    /// A UUID.
    Uuid,
    /// A time as RFC 3339 has it.
    Time,
    /// What this regular expression matches; all dialects read it alike.
    Matching(&'static str),
}

/// A whole number from 1, decimal.
const COUNT: Form = Form::Matching("^[1-9][0-9]*$");

/// A `traceparent`.
const TRACE_CONTEXT: Form = Form::Matching("^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$");

/// Every header of the contract, in the order in which they are told.
pub const HEADERS: &[Header] = &[
    Header {
        name: header::SPEC_VERSION,
        holds: "`1.0`",
        presence: Presence::Always,
        form: Form::Exactly(SPEC_VERSION),
    },
    Header {
        name: header::ID,
        holds: "the event's id, a UUID: the same message again has the same",
        presence: Presence::Always,
        form: Form::Uuid,
    },
    Header {
        name: header::SOURCE,
        holds: "`urn:uuid:` and the id of the log; another value is another log",
        presence: Presence::Always,
        form: Form::Matching(
            "^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        ),
    },
    Header {
        name: header::TYPE,
        holds: "the subject, for example `annals.ordering.order-placed.v1`",
        presence: Presence::Always,
        form: Form::Matching(r"^[a-z0-9_-]{1,32}\.[a-z0-9-]+\.[a-z0-9-]+\.v[1-9][0-9]*$"),
    },
    Header {
        name: header::DATA_SCHEMA,
        holds: "the JSON Schema of the data, by its `$id`, for example `urn:annals:schema:ordering.order-placed.v1`",
        presence: Presence::Always,
        form: Form::Matching(r"^urn:annals:schema:[a-z0-9-]+\.[a-z0-9-]+\.v[1-9][0-9]*$"),
    },
    Header {
        name: header::SUBJECT,
        holds: "the stream of the event, `<context>.<aggregate>-<uuid>`, for example `ordering.order-01943c5e-…`",
        presence: Presence::Always,
        form: Form::Matching(
            r"^[a-z0-9-]+\.[a-z0-9-]+-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
        ),
    },
    Header {
        name: header::TIME,
        holds: "when the event was recorded: RFC 3339, microseconds, UTC",
        presence: Presence::Always,
        form: Form::Time,
    },
    Header {
        name: header::SEQUENCE,
        holds: "its version in that stream, decimal: rises, but not every version is public",
        presence: Presence::Always,
        form: COUNT,
    },
    Header {
        name: header::POSITION,
        holds: "its position in the log, decimal: rises, but not every position is public",
        presence: Presence::Always,
        form: COUNT,
    },
    Header {
        name: header::ORDINAL,
        holds: "its place behind the event at that position, decimal",
        presence: Presence::Sometimes("of a message that is no event"),
        form: COUNT,
    },
    Header {
        name: header::LATE,
        holds: "`true`: it was held back, and comes behind messages of other streams that are younger",
        presence: Presence::Sometimes("if it was held back"),
        form: Form::Exactly("true"),
    },
    Header {
        name: header::COMMAND_ID,
        holds: "the command it follows from",
        presence: Presence::Always,
        form: Form::Uuid,
    },
    Header {
        name: header::CORRELATION_ID,
        holds: "the request that began the whole story",
        presence: Presence::Always,
        form: Form::Uuid,
    },
    Header {
        name: header::CAUSATION_ID,
        holds: "the message that caused the command",
        presence: Presence::Sometimes("if one did"),
        form: Form::Uuid,
    },
    Header {
        name: header::TENANT,
        holds: "the tenant it belongs to: whose organization",
        presence: Presence::Sometimes("if it belongs to one"),
        form: Form::Uuid,
    },
    Header {
        name: header::TRACE,
        holds: "W3C trace context the event was recorded in: of the request, or of its append if the trace is recorded; the same each time it is published",
        presence: Presence::Sometimes("if it had one"),
        form: TRACE_CONTEXT,
    },
    Header {
        name: header::TRACE_PARENT,
        holds: "W3C trace context of the publishing: the parent of what a subscriber does about it",
        presence: Presence::Sometimes("if the trace is recorded"),
        form: TRACE_CONTEXT,
    },
    Header {
        name: header::CONTENT_TYPE,
        holds: "`application/json`",
        presence: Presence::Always,
        form: Form::Exactly(CONTENT_TYPE),
    },
    Header {
        name: header::MESSAGE_ID,
        holds: "repeats `ce-id`",
        presence: Presence::Sometimes(
            "as a rule; not on a message that was published again because it had been deleted by hand",
        ),
        form: Form::Uuid,
    },
];
