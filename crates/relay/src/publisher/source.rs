//! What is to be published next, made ready: from the outbox or, where that was retired, from the
//! log. So publishing, publishing again and replaying are one path.

use eventstore::{EventStore, OutboundPage, OutboxPlace, PageLimit};

use super::trouble::Trouble;
use crate::broker::chain;
use crate::cloud_event::{Outgoing, OutgoingError, outgoing};
use crate::{Namespace, Render};

/// Most that is read at once.
const PAGE: PageLimit = PageLimit { events: 512, bytes: 2 * 1024 * 1024 };

/// Where messages come from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) store: &'a EventStore,
    pub(super) namespace: &'a Namespace,
    pub(super) render: &'a dyn Render,
}

/// Some messages, in order.
pub(super) struct Batch {
    pub(super) messages: Vec<Outgoing>,
    /// No other message is up to here; where it began if there is nothing more yet.
    pub(super) reached: OutboxPlace,
    /// The one behind `reached`, if it cannot be made.
    pub(super) stopped: Option<OutgoingError>,
}

impl Source<'_> {
    /// What follows `after`.
    pub(super) async fn next(self, after: OutboxPlace) -> Result<Batch, sqlx::Error> {
        let page = self.store.read_outbound(after, PAGE).await?;
        Ok(self.make(after, page))
    }

    fn make(self, after: OutboxPlace, page: OutboundPage) -> Batch {
        let log = self.store.log_id();
        let mut messages = Vec::with_capacity(page.items.len());
        let mut reached = after;
        for item in page.items {
            let place = item.place();
            // What came before it at other positions was all there is.
            if place.position() > reached.position() {
                reached = OutboxPlace::after(reached.position());
            }
            match outgoing(self.namespace, log, item, self.render) {
                Ok(message) => messages.extend(message),
                Err(error) => return Batch { messages, reached, stopped: Some(error) },
            }
            reached = place;
        }
        Batch { messages, reached: page.reached, stopped: None }
    }
}

/// What cannot be made must be changed: skipping it would be silent.
pub(super) fn unpublishable(error: &OutgoingError) -> Trouble {
    Trouble::Refused(chain(error))
}
