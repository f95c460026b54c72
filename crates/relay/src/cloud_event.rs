//! The public message contract: CloudEvents 1.0 in NATS, binary mode, and the same as JSON.
//!
//! A message is one event as the public may see it, or belongs to one. Its attributes are headers,
//! its body is the data, and the subject it is sent on is its type. [`HEADERS`] describes every
//! header.
//!
//! Names are lower case on the wire. Which event becomes which message is decided by a pure
//! function that the composition root supplies ([`Render`]), so publishing, publishing again and
//! replaying give the same message.

mod headers;
mod incoming;
mod outgoing;
mod render;
mod structured;

pub use headers::{Form, HEADERS, Header, Presence};
pub(crate) use incoming::Headers;
pub use incoming::{IncomingMessage, MalformedMessage, MessageType};
pub(crate) use outgoing::{Outgoing, OutgoingError, Traced, outgoing};
pub use render::{Render, RenderError, Rendered};
pub use structured::{Structured, structured};

/// Names of the headers, as they are on the wire.
pub(crate) mod header {
    pub(crate) const SPEC_VERSION: &str = "ce-specversion";
    pub(crate) const ID: &str = "ce-id";
    pub(crate) const SOURCE: &str = "ce-source";
    pub(crate) const TYPE: &str = "ce-type";
    pub(crate) const DATA_SCHEMA: &str = "ce-dataschema";
    pub(crate) const SUBJECT: &str = "ce-subject";
    pub(crate) const TIME: &str = "ce-time";
    pub(crate) const SEQUENCE: &str = "ce-sequence";
    pub(crate) const POSITION: &str = "ce-position";
    pub(crate) const ORDINAL: &str = "ce-ordinal";
    pub(crate) const LATE: &str = "ce-late";
    pub(crate) const COMMAND_ID: &str = "ce-commandid";
    pub(crate) const CORRELATION_ID: &str = "ce-correlationid";
    pub(crate) const CAUSATION_ID: &str = "ce-causationid";
    pub(crate) const TENANT: &str = "ce-tenant";
    pub(crate) const TRACE: &str = "ce-traceparent";
    pub(crate) const CONTENT_TYPE: &str = "content-type";
    pub(crate) const REPLAY: &str = "ce-replay";
    pub(crate) const REPLAY_NUMBER: &str = "ce-replaynumber";
    /// Of a late message: up to which place everything is in the stream or held. For publishers.
    pub(crate) const AFTER: &str = "Annals-After";
    /// Of the publishing, where [`TRACE`] is of the event: differs each time it is published.
    pub(crate) const TRACE_PARENT: &str = "traceparent";
    pub(crate) const MESSAGE_ID: &str = "Nats-Msg-Id";
}

/// The version of CloudEvents that is spoken.
pub(crate) const SPEC_VERSION: &str = "1.0";

/// What the body is.
pub(crate) const CONTENT_TYPE: &str = "application/json";

/// What `ce-source` begins with; the id of the log follows.
pub(crate) const SOURCE_PREFIX: &str = "urn:uuid:";

/// The JSON Schema of the data of `message_type`, for example `ordering.order-placed.v1`, by its
/// `$id`: what `ce-dataschema` says.
#[must_use]
pub fn data_schema(message_type: &str) -> String {
    format!("urn:annals:schema:{message_type}")
}
