//! What a publisher is doing, for readiness and metrics; a change is logged, once.

use eventstore::Position;
use tokio::sync::watch;

/// What a publisher is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayStatus {
    /// Another publisher leads, or this one was stopped.
    Standby,
    /// It does not publish at the moment, or has not begun yet; it goes on by itself.
    Connecting {
        /// What is in the way.
        error: String,
    },
    /// It leads, and everything goes well.
    Publishing,
    /// It leads, and does not publish until somebody changes something; it keeps looking.
    Refused {
        /// What must be changed.
        reason: String,
    },
}

/// What a publisher is doing, and how far it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayState {
    /// What it is doing.
    pub status: RelayStatus,
    /// Everything of the outbox up to here is in the stream, as far as this publisher knows.
    pub position: Position,
    /// The epoch it leads under, if it leads.
    pub epoch: Option<i64>,
    /// How many messages it has published.
    pub published_messages: u64,
    /// How often it asked the stream where to resume: once per takeover, and once per doubt.
    pub resumed: u64,
}

/// Shows the state, and logs its changes.
pub(super) struct Reporter {
    stream: String,
    state: watch::Sender<RelayState>,
}

impl Reporter {
    pub(super) fn new(stream: String) -> Self {
        let status = RelayStatus::Connecting { error: "not connected yet".to_owned() };
        let state = RelayState {
            status,
            position: Position::START,
            epoch: None,
            published_messages: 0,
            resumed: 0,
        };
        Self { stream, state: watch::Sender::new(state) }
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<RelayState> {
        self.state.subscribe()
    }

    pub(super) fn lead(&mut self, epoch: i64, position: Position) {
        tracing::info!(stream.name = %self.stream, relay.epoch = epoch, %position, "leads the relay");
        self.state.send_modify(|state| {
            state.epoch = Some(epoch);
            state.position = position;
        });
    }

    pub(super) fn resumed(&mut self, position: Position) {
        self.state.send_modify(|state| {
            state.resumed += 1;
            state.position = position;
        });
    }

    pub(super) fn published(&mut self, messages: u64, position: Position) {
        self.state.send_modify(|state| {
            state.published_messages += messages;
            state.position = position;
        });
    }

    pub(super) fn report(&mut self, status: RelayStatus) {
        let changed = self.state.send_if_modified(|state| {
            if status == RelayStatus::Standby {
                state.epoch = None;
            }
            let changed = state.status != status;
            state.status.clone_from(&status);
            changed
        });
        if !changed {
            return;
        }
        let stream = &self.stream;
        match status {
            RelayStatus::Standby => tracing::info!(stream.name = %stream, "relay stands by"),
            RelayStatus::Publishing => tracing::info!(stream.name = %stream, "relay publishes"),
            RelayStatus::Connecting { error } => {
                tracing::warn!(stream.name = %stream, error = %error, "relay is interrupted, will look again");
            }
            RelayStatus::Refused { reason } => {
                tracing::error!(stream.name = %stream, error = %reason, "relay cannot publish until this is changed");
            }
        }
    }
}
