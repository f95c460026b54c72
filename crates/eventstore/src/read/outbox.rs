//! Reading the outbox as far as it reaches back.

use super::RecordedEvent;
use super::outbound::PageLimit;
use crate::{EventStore, Position};

/// An event that the public is told of.
#[derive(Debug, Clone)]
pub struct OutboxMessage {
    /// On which subject, without the installation's namespace.
    pub subject: String,
    /// The event.
    pub event: RecordedEvent,
}

impl EventStore {
    /// The events among the next `limit` rows of the outbox after `after`, in log order. What was
    /// retired is not among them, nor messages that are no events ([`EventStore::read_outbound`]).
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn read_outbox(
        &self,
        after: Position,
        limit: u16,
    ) -> Result<Vec<OutboxMessage>, sqlx::Error> {
        let limit = PageLimit { events: limit, bytes: usize::MAX };
        let rows = self.outbox_rows(after, limit).await?.rows.into_iter();
        let messages =
            rows.filter_map(|(subject, event)| Some(OutboxMessage { subject: subject?, event }));
        Ok(messages.collect())
    }
}
