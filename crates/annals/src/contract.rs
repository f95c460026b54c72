//! The public contract: which message an event becomes, and the documents that describe messages.
//!
//! What a message says is the domain's choice, how it travels is the relay's; both meet here.

mod async_api;
mod compatibility;
mod documents;
mod headers;

pub use compatibility::breaks;
pub use documents::{ASYNC_API, Documents, documents, schema_path, text};

use std::sync::Arc;

use domain::Message;
use eventstore::{EventStore, LogId, RecordedEvent};
use relay::cloud_event::{Structured, structured};
use relay::{Namespace, Render, RenderError, Rendered, Told};

/// Renders with [`Message::of`].
#[derive(Debug, Clone, Copy)]
pub struct Contract;

/// What the public of `namespace` is told of the log.
pub fn told(store: EventStore, namespace: Namespace) -> Told {
    Told { store, namespace, render: Arc::new(Contract) }
}

/// What the feed tells of an event of `log`: the message that the relay publishes in `namespace`.
pub fn fed(log: LogId, namespace: Namespace) -> api::feed::Render {
    Arc::new(move |event| {
        let told = structured(&namespace, log, event, &Contract)?;
        Ok(told.map(|Structured { message_type, json }| api::feed::Message { message_type, json }))
    })
}

impl Render for Contract {
    fn render(&self, event: &RecordedEvent) -> Result<Option<Rendered>, RenderError> {
        let events = application::decode(event).map_err(RenderError::new)?;
        let mut messages = events.iter().filter_map(Message::of);
        let message = messages.next();
        if messages.next().is_some() {
            // A message has the id of its event.
            return Err(RenderError::new(format!("event {} became several messages", event.id)));
        }
        let Some(message) = message else { return Ok(None) };
        let body = message.encode().map_err(RenderError::new)?;
        Ok(Some(Rendered { subject: message.payload_type().to_string(), body }))
    }
}
