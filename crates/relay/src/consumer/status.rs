//! What a consumer is doing, for readiness and metrics; a change is logged, once.

use eventstore::Position;
use tokio::sync::watch;
use uuid::Uuid;

use crate::IncomingMessage;

/// What a consumer is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerStatus {
    /// It has no stream to read at the moment; it goes on by itself.
    Connecting {
        /// What is in the way.
        error: String,
    },
    /// It takes effect of messages, or waits for more.
    Consuming,
    /// A message fails; those after it wait.
    Retrying {
        /// Its sequence in the stream.
        sequence: u64,
        /// Its id, if it could be read.
        message_id: Option<Uuid>,
        /// How often it was tried.
        attempts: u32,
        /// Why the last attempt failed.
        error: String,
    },
    /// It was stopped.
    Stopped,
}

/// What a consumer is doing, and what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerState {
    /// What it is doing.
    pub status: ConsumerStatus,
    /// The position in the log of the last message that this copy was done with.
    pub position: Position,
    /// How many messages took effect at this copy.
    pub effects: u64,
    /// How many messages came that had taken effect before.
    pub repeated: u64,
}

/// Shows the state, and logs its changes.
pub(super) struct Reporter {
    consumer: String,
    state: watch::Sender<ConsumerState>,
}

impl Reporter {
    pub(super) fn new(consumer: String) -> Self {
        let status = ConsumerStatus::Connecting { error: "not connected yet".to_owned() };
        let state = ConsumerState { status, position: Position::START, effects: 0, repeated: 0 };
        Self { consumer, state: watch::Sender::new(state) }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<ConsumerState> {
        self.state.subscribe()
    }

    pub(super) fn done(&self, message: &IncomingMessage, effect: super::inbox::Effect) {
        self.state.send_modify(|state| {
            state.position = message.position;
            match effect {
                super::inbox::Effect::Now => state.effects += 1,
                super::inbox::Effect::Before => state.repeated += 1,
            }
        });
    }

    pub(super) fn report(&self, status: ConsumerStatus) {
        let consumer = &self.consumer;
        let mut news = false;
        self.state.send_if_modified(|state| {
            news = !same_story(&state.status, &status);
            let changed = state.status != status;
            state.status.clone_from(&status);
            changed
        });
        if !news {
            return;
        }
        match status {
            ConsumerStatus::Consuming => {
                tracing::info!(consumer.name = %consumer, "consumer goes on");
            }
            ConsumerStatus::Stopped => {
                tracing::info!(consumer.name = %consumer, "consumer stopped");
            }
            ConsumerStatus::Connecting { error } => {
                tracing::warn!(consumer.name = %consumer, error = %error, "consumer has no stream, will look again");
            }
            ConsumerStatus::Retrying { sequence, message_id, error, .. } => tracing::warn!(
                consumer.name = %consumer,
                stream.sequence = sequence,
                message.id = message_id.map(tracing::field::display),
                error = %error,
                "a message fails and is tried again, those after it wait",
            ),
        }
    }
}

/// Whether only the count of attempts differs.
fn same_story(one: &ConsumerStatus, other: &ConsumerStatus) -> bool {
    match (one, other) {
        (
            ConsumerStatus::Retrying { sequence: a, error: x, .. },
            ConsumerStatus::Retrying { sequence: b, error: y, .. },
        ) => a == b && x == y,
        _ => one == other,
    }
}
