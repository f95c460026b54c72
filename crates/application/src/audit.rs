//! For auditors: what a stream was at any moment, and what made it so.
//!
//! Nothing is kept for this: a state is folded from the events, as a decision folds it
//! ([`domain::aggregate`]), so it cannot differ from what was decided on.

mod as_of;
mod difference;
mod known;
mod range;
mod record;
mod state;

pub use as_of::{AsOf, InvalidAsOf};
pub use difference::{Change, Difference, difference};
pub use known::{categories, event_types};
pub use range::Range;
pub use record::EventRecord;
pub use state::{Reached, StateAt, reached, state};

use domain::stream::UnknownStream;
use eventstore::{Position, StreamId, StreamVersion};

use crate::Undecodable;

/// Why nothing can be said of a stream at a moment.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Nothing has ever happened to it.
    #[error("no stream is called {0}")]
    NoStream(StreamId),
    /// Its category is not of this domain, so nobody knows its state.
    #[error("streams like this have no state")]
    NoAggregate(#[source] UnknownStream),
    /// The log does not go that far.
    #[error("the log ends at position {end}, {asked} is not there yet")]
    PositionNotReached {
        /// What was asked for.
        asked: Position,
        /// Where the log ends.
        end: Position,
    },
    /// The stream does not go that far.
    #[error("the stream is at version {end}, {asked} is not there yet")]
    VersionNotReached {
        /// What was asked for.
        asked: StreamVersion,
        /// Where the stream ends.
        end: StreamVersion,
    },
    /// A difference is asked for from a later moment to an earlier one.
    #[error("the first moment, {from}, is after the second, {to}")]
    Reversed {
        /// The first.
        from: AsOf,
        /// The second.
        to: AsOf,
    },
    /// An event cannot be read by this version.
    #[error("the log holds what this version cannot read")]
    Undecodable(#[from] Undecodable),
    /// A state or a payload is no JSON.
    #[error("write as JSON")]
    Encode(#[from] serde_json::Error),
    /// The database cannot be reached.
    #[error("read the stream")]
    Database(#[from] sqlx::Error),
}
