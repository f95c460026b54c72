//! What a consumer is doing, for readiness and metrics; a change is logged, once.

use eventstore::Position;
use tokio::sync::watch;

use super::delivery::Delivery;
use crate::dead_letters::{Cause, Letter};

/// What a consumer is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConsumerStatus {
    /// Another copy works.
    Standby,
    /// It has no stream to read at the moment; it goes on by itself.
    Connecting {
        /// What is in the way.
        error: String,
    },
    /// It takes effect of messages, or waits for more.
    Consuming,
    /// Nothing takes effect at the moment, and not because of the messages; it goes on by itself.
    Stalled {
        /// What is in the way.
        error: String,
    },
    /// It was stopped.
    Stopped,
}

/// What a consumer is doing, and what this copy did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerState {
    /// What it is doing.
    pub status: ConsumerStatus,
    /// The greatest position in the log of the messages that this copy was done with.
    pub position: Position,
    /// How many messages took effect at this copy, those that were held before included.
    pub effects: u64,
    /// How many messages came that had taken effect before, or were held.
    pub repeated: u64,
    /// How many messages were held because they failed.
    pub held: u64,
}

/// Shows the state, and logs its changes.
pub(super) struct Reporter {
    consumer: String,
    state: watch::Sender<ConsumerState>,
}

impl Reporter {
    pub(super) fn new(consumer: String) -> Self {
        let state = ConsumerState {
            status: ConsumerStatus::Connecting { error: "not connected yet".to_owned() },
            position: Position::START,
            effects: 0,
            repeated: 0,
            held: 0,
        };
        Self { consumer, state: watch::Sender::new(state) }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<ConsumerState> {
        self.state.subscribe()
    }

    /// Of `deliveries`, some took effect now, and some had before.
    pub(super) fn done(&self, deliveries: &[Delivery], effects: usize, repeated: usize) {
        let positions =
            deliveries.iter().filter_map(|one| Some(one.message.as_ref().ok()?.position));
        let position = positions.max().unwrap_or_default();
        self.state.send_modify(|state| {
            state.position = state.position.max(position);
            state.effects += u64::try_from(effects).unwrap_or_default();
            state.repeated += u64::try_from(repeated).unwrap_or_default();
        });
    }

    /// Letters took effect that were held.
    pub(super) fn redriven(&self, letters: usize) {
        self.state.send_modify(|state| state.effects += u64::try_from(letters).unwrap_or_default());
        tracing::info!(consumer.name = %self.consumer, letters, "held messages took effect");
    }

    /// `delivery` is held from now on.
    pub(super) fn held(&self, delivery: &Delivery, cause: &Cause) {
        self.state.send_modify(|state| state.held += 1);
        let (consumer, message) = (&self.consumer, delivery.id);
        match cause {
            Cause::Failed { error, again_after_s } => tracing::warn!(
                consumer.name = %consumer, message.id = %message, error = %error,
                again_after_s, "a message failed and is held, later ones of its key wait behind it"
            ),
            Cause::Hopeless { error, .. } => tracing::error!(
                consumer.name = %consumer, message.id = %message, error = %error,
                "a message is dead: `annals dead-letters` shows it and those behind it"
            ),
            Cause::Behind => {}
        }
    }

    /// `letter` is not tried again by itself.
    pub(super) fn died(&self, letter: &Letter, error: &str) {
        tracing::error!(
            consumer.name = %self.consumer, letter.id, attempts = letter.attempts, error = %error,
            "a message is dead: `annals dead-letters` shows it and those behind it"
        );
    }

    pub(super) fn report(&self, status: ConsumerStatus) {
        let consumer = &self.consumer;
        let is_news = self.state.send_if_modified(|state| {
            let is_news = state.status != status;
            state.status.clone_from(&status);
            is_news
        });
        if !is_news {
            return;
        }
        match status {
            ConsumerStatus::Standby => {
                tracing::info!(consumer.name = %consumer, "consumer stands by");
            }
            ConsumerStatus::Consuming => {
                tracing::info!(consumer.name = %consumer, "consumer goes on");
            }
            ConsumerStatus::Stopped => {
                tracing::info!(consumer.name = %consumer, "consumer stopped");
            }
            ConsumerStatus::Connecting { error } => {
                tracing::warn!(consumer.name = %consumer, error = %error, "consumer has no stream, will look again");
            }
            ConsumerStatus::Stalled { error } => {
                tracing::error!(consumer.name = %consumer, error = %error, "consumer stands still, will try again");
            }
        }
    }
}
