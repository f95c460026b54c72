//! Writes a message of the contract as one JSON text: CloudEvents 1.0, structured mode.

use eventstore::{LogId, RecordedEvent};

use super::outgoing::Attributes;
use super::{CONTENT_TYPE, Render, RenderError, Rendered};
use crate::Namespace;

/// A message as one JSON text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Structured {
    /// What it says and in which shape, without the namespace, for example
    /// `ordering.order-placed.v1`.
    pub message_type: String,
    /// The CloudEvent: its attributes are those of the headers, all of them texts, and `data` is the
    /// body byte for byte.
    pub json: String,
}

/// The message that the public of `namespace` learns of `event`, an event of `log`; `None` if it is
/// not told.
///
/// # Errors
/// The event cannot be read.
pub fn structured(
    namespace: &Namespace,
    log: LogId,
    event: &RecordedEvent,
    render: &dyn Render,
) -> Result<Option<Structured>, RenderError> {
    let Some(Rendered { subject: message_type, body }) = render.render(event)? else {
        return Ok(None);
    };
    let mut json = String::with_capacity(768 + body.len());
    json.push('{');
    for (name, value) in Attributes::of(event).told(namespace, log, &message_type) {
        let name = name.strip_prefix("ce-").unwrap_or(name);
        let value = serde_json::to_string(&value).map_err(RenderError::new)?;
        json.extend(["\"", name, "\":", &value, ","]);
    }
    json.extend(["\"datacontenttype\":\"", CONTENT_TYPE, "\",\"data\":", &body, "}"]);
    Ok(Some(Structured { message_type, json }))
}
