//! Why a state could not be loaded, or a command had no effect.

use super::CodecError;
use crate::evolution::Misshapen;
use crate::{AppendError, EventId, KeyringError, StreamId};

/// Why a state could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The database cannot be reached.
    #[error("read stream {stream}")]
    Database {
        /// The stream.
        stream: StreamId,
        /// What broke.
        #[source]
        source: sqlx::Error,
    },
    /// An event of an old shape is not what its type says.
    #[error(transparent)]
    Misshapen(#[from] Misshapen),
    /// An event cannot be read as one of today's types.
    #[error("read event {event_id}")]
    Undecodable {
        /// The event.
        event_id: EventId,
        /// What is wrong with it.
        #[source]
        source: CodecError,
    },
    /// Personal data cannot be opened.
    #[error("open the personal data of stream {stream}")]
    Sealed {
        /// The stream.
        stream: StreamId,
        /// Why not.
        #[source]
        source: KeyringError,
    },
}

/// Why a command had no effect, or may have had.
#[derive(Debug, thiserror::Error)]
pub enum ExecuteError<E> {
    /// The decision was no.
    #[error("rejected")]
    Rejected(E),
    /// Others changed the streams each time it was decided.
    #[error("others kept changing stream {stream}")]
    Contended {
        /// The stream that was changed last.
        stream: StreamId,
    },
    /// A state could not be loaded; nothing was written.
    #[error("load")]
    Load(#[from] LoadError),
    /// An event cannot be written as JSON; nothing was written.
    #[error("encode")]
    Encode(#[source] CodecError),
    /// Personal data cannot be sealed, for example because its subject is erased; nothing was
    /// written.
    #[error("seal")]
    Seal(#[source] KeyringError),
    /// The store did not append it; see the variant for what that means.
    #[error("append")]
    Append(#[source] AppendError),
}

impl<E> ExecuteError<E> {
    /// Whether the store was not asked for the command: what stands in its way now may have come
    /// after it took effect.
    pub(super) const fn was_decided_here(&self) -> bool {
        match self {
            Self::Rejected(_) | Self::Encode(_) | Self::Seal(_) => true,
            Self::Append(error) => matches!(
                error,
                AppendError::TooManyEvents { .. }
                    | AppendError::PayloadTooLarge { .. }
                    | AppendError::RepeatedStream { .. }
                    | AppendError::RepeatedClaim { .. }
                    | AppendError::WithoutExpectation { .. }
            ),
            Self::Contended { .. } | Self::Load(_) => false,
        }
    }
}
