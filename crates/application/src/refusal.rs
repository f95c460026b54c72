//! Why a command was refused although everything works.

use domain::{Rejection, Stream};
use eventstore::StreamVersion;

use crate::codec::WithoutKeys;

/// What stands against a command. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A rule of the domain.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// It is about personal data, and there are no keys for any.
    #[error(transparent)]
    WithoutKeys(#[from] WithoutKeys),
    /// The aggregate has changed since the asker looked at it.
    #[error("{stream} is at version {actual}, not at {expected}")]
    Changed {
        /// The stream of the aggregate.
        stream: Stream,
        /// Where the asker has seen it.
        expected: StreamVersion,
        /// Where it is.
        actual: StreamVersion,
    },
}
