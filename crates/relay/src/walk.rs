//! Everything the public is told, made ready, in order: what publishing sends, for those who compare
//! with it or send it again.

use std::collections::VecDeque;
use std::sync::Arc;

use eventstore::{EventStore, OutboxPlace, PageLimit};

use crate::broker::chain;
use crate::cloud_event::{Outgoing, outgoing};
use crate::{Namespace, Render};

/// Most that is read at once.
const PAGE: PageLimit = PageLimit { events: 512, bytes: 2 * 1024 * 1024 };

/// Where what the public is told comes from.
#[derive(Clone)]
pub struct Told {
    /// The log and its outbox.
    pub store: EventStore,
    /// Of the installation.
    pub namespace: Namespace,
    /// The contract.
    pub render: Arc<dyn Render>,
}

/// Why nobody can say what the public is told.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    /// The database cannot be reached.
    #[error("read the log")]
    Database(#[from] sqlx::Error),
    /// Something is to be told and cannot be.
    #[error("cannot be made a message: {0}")]
    Unspeakable(String),
}

/// A walk over everything that is told behind a place; holds a page at most.
pub(crate) struct Walk {
    told: Told,
    waiting: VecDeque<Outgoing>,
    reached: OutboxPlace,
    stopped: Option<String>,
}

impl Walk {
    /// Begins behind `place`.
    pub(crate) const fn new(told: Told, place: OutboxPlace) -> Self {
        Self { told, waiting: VecDeque::new(), reached: place, stopped: None }
    }

    /// The next message, which stays the next one; `None` if there is none yet.
    pub(crate) async fn peek(&mut self) -> Result<Option<&Outgoing>, WalkError> {
        while self.waiting.is_empty() {
            if let Some(error) = &self.stopped {
                return Err(WalkError::Unspeakable(error.clone()));
            }
            let page = self.told.store.read_outbound(self.reached, PAGE).await?;
            if page.reached == self.reached {
                return Ok(None);
            }
            self.reached = page.reached;
            let log = self.told.store.log_id();
            for item in page.items {
                match outgoing(&self.told.namespace, log, &item, &*self.told.render) {
                    Ok(message) => self.waiting.extend(message),
                    Err(error) => {
                        self.stopped = Some(chain(&error));
                        break;
                    }
                }
            }
        }
        Ok(self.waiting.front())
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Result<Option<Outgoing>, WalkError> {
        self.peek().await?;
        Ok(self.waiting.pop_front())
    }
}
