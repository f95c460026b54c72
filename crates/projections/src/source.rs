//! The log, and how its events are read as today's.

use std::error::Error;

use domain::Event;
use eventstore::{EventStore, RecordedEvent};

/// Reads a recorded event as what it is in today's domain: one event as a rule; several or none if
/// its shape is an old one.
pub type Decode = fn(&RecordedEvent) -> Result<Vec<Event>, Box<dyn Error + Send + Sync>>;

/// The log that read models are functions of.
#[derive(Debug, Clone)]
pub struct Source {
    /// The log.
    pub store: EventStore,
    /// How its events are read.
    pub decode: Decode,
}
