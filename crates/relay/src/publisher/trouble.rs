//! Why publishing was interrupted, and so what comes next.

use eventstore::{CursorError, OutboxPlace};

use super::RelayStatus;
use crate::broker::chain;

/// Why publishing was interrupted.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nobody answers: ask again.
    Unreachable(String),
    /// Something was not as expected: nothing believed so far holds, look again.
    Doubt(String),
    /// The broker never takes the message at this place, because of its size.
    TooLarge { place: OutboxPlace, error: String },
    /// It cannot go on until somebody changes something.
    Refused(String),
    /// The database did not answer: ask again.
    Database(sqlx::Error),
    /// Another publisher leads: stop.
    Fenced,
}

impl Trouble {
    /// What to show of it.
    pub(super) fn into_status(self) -> RelayStatus {
        match self {
            Self::Unreachable(error) | Self::Doubt(error) | Self::TooLarge { error, .. } => {
                RelayStatus::Connecting { error }
            }
            Self::Database(error) => {
                RelayStatus::Connecting { error: format!("database: {}", chain(&error)) }
            }
            Self::Refused(reason) => RelayStatus::Refused { reason },
            Self::Fenced => RelayStatus::Standby,
        }
    }
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl From<CursorError> for Trouble {
    fn from(error: CursorError) -> Self {
        match error {
            CursorError::Fenced { .. } => Self::Fenced,
            CursorError::Database { source, .. } => Self::Database(source),
        }
    }
}
