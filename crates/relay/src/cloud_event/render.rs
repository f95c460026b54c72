//! From private event to public message: the function the composition root supplies.

use std::error::Error;

use eventstore::RecordedEvent;

/// Tells what the public learns of an event.
///
/// It must be pure: the same event gives the same message for ever, whoever asks.
pub trait Render: Send + Sync + 'static {
    /// The public message of `event`, or `None` if the public is not told.
    ///
    /// Of an event that has a row in the outbox, `None` and another subject than that of the row are
    /// faults: it is held, and those of its stream behind it.
    ///
    /// # Errors
    /// The event cannot be read.
    fn render(&self, event: &RecordedEvent) -> Result<Option<Rendered>, RenderError>;
}

impl<F> Render for F
where
    F: Fn(&RecordedEvent) -> Result<Option<Rendered>, RenderError> + Send + Sync + 'static,
{
    fn render(&self, event: &RecordedEvent) -> Result<Option<Rendered>, RenderError> {
        self(event)
    }
}

/// What the public learns of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// What it says and in which shape, without the namespace of the installation: what it is sent
    /// on, for example `ordering.order-placed.v1`.
    pub subject: String,
    /// JSON.
    pub body: String,
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
