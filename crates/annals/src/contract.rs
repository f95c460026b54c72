//! The public message of an event: the domain's choice, in the relay's hands.

use domain::Message;
use eventstore::RecordedEvent;
use relay::{Render, RenderError};

/// Renders with [`Message::of`].
#[derive(Debug, Clone, Copy)]
pub struct Contract;

impl Render for Contract {
    fn render(&self, event: &RecordedEvent) -> Result<Option<String>, RenderError> {
        let decoded = application::decode(event).map_err(RenderError::new)?;
        Message::of(&decoded).map(|message| message.encode()).transpose().map_err(RenderError::new)
    }
}
