//! The public message contract: CloudEvents 1.0 in NATS, binary mode.
//!
//! A message is one event as the public may see it, or belongs to one. Its attributes are headers, its body is the
//! data, and the subject it is sent on is its type:
//!
//! | header | holds |
//! | --- | --- |
//! | `ce-specversion` | `1.0` |
//! | `ce-id` | the id of the event or of the message; `Nats-Msg-Id` repeats it, as a rule |
//! | `ce-source` | `urn:uuid:` and the id of the log |
//! | `ce-type` | the subject, for example `annals.ordering.order-placed.v1` |
//! | `ce-subject` | the stream of the event, or that the message is about, for example `ordering.order-…` |
//! | `ce-time` | when it was recorded, RFC 3339 with microseconds, UTC |
//! | `ce-sequence` | its version in that stream, decimal, of an event |
//! | `ce-position` | its position in the log, decimal; of a message that of the event it stands behind |
//! | `ce-ordinal` | of a message that is no event its place behind that event: 1, 2, 3 … |
//! | `ce-commandid` | the command it follows from |
//! | `ce-correlationid` | the request that began the whole story |
//! | `ce-causationid` | the message that caused the command, if one did |
//! | `ce-traceparent` | W3C trace context, if there is one |
//! | `content-type` | `application/json` |
//!
//! Names are lower case on the wire. Which event becomes which message is decided by a pure
//! function that the composition root supplies ([`Render`]), so publishing, publishing again and
//! replaying give the same message.

mod incoming;
mod outgoing;
mod render;

pub(crate) use incoming::Headers;
pub use incoming::{IncomingMessage, MalformedMessage, MessageType};
pub(crate) use outgoing::{Outgoing, OutgoingError, outgoing};
pub use render::{Render, RenderError, Rendered};

/// Names of the headers, as they are on the wire.
pub(crate) mod header {
    pub(crate) const SPEC_VERSION: &str = "ce-specversion";
    pub(crate) const ID: &str = "ce-id";
    pub(crate) const SOURCE: &str = "ce-source";
    pub(crate) const TYPE: &str = "ce-type";
    pub(crate) const SUBJECT: &str = "ce-subject";
    pub(crate) const TIME: &str = "ce-time";
    pub(crate) const SEQUENCE: &str = "ce-sequence";
    pub(crate) const POSITION: &str = "ce-position";
    pub(crate) const ORDINAL: &str = "ce-ordinal";
    pub(crate) const COMMAND_ID: &str = "ce-commandid";
    pub(crate) const CORRELATION_ID: &str = "ce-correlationid";
    pub(crate) const CAUSATION_ID: &str = "ce-causationid";
    pub(crate) const TRACE: &str = "ce-traceparent";
    pub(crate) const CONTENT_TYPE: &str = "content-type";
}

/// The version of CloudEvents that is spoken.
const SPEC_VERSION: &str = "1.0";

/// What the body is.
const CONTENT_TYPE: &str = "application/json";

/// What `ce-source` begins with; the id of the log follows.
const SOURCE_PREFIX: &str = "urn:uuid:";
