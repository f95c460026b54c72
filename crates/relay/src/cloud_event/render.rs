//! From private event to public message: the function the composition root supplies.

use std::error::Error;

use eventstore::RecordedEvent;

/// Tells what the public learns of an event.
///
/// It must be pure: the same event gives the same message for ever, whoever asks.
pub trait Render: Send + Sync + 'static {
    /// The public message of `event` as JSON, or `None` if the public is not told.
    ///
    /// The relay asks only about events of the outbox, so for it `None` is a fault.
    ///
    /// # Errors
    /// The event cannot be read.
    fn render(&self, event: &RecordedEvent) -> Result<Option<String>, RenderError>;
}

impl<F> Render for F
where
    F: Fn(&RecordedEvent) -> Result<Option<String>, RenderError> + Send + Sync + 'static,
{
    fn render(&self, event: &RecordedEvent) -> Result<Option<String>, RenderError> {
        self(event)
    }
}

/// An event that cannot be made a message of.
#[derive(Debug, thiserror::Error)]
#[error("render the public message")]
pub struct RenderError {
    #[source]
    source: Box<dyn Error + Send + Sync>,
}

impl RenderError {
    /// For the reason `source`.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: source.into() }
    }
}
