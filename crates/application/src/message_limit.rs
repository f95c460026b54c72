//! Nothing enters the log that the public could not be told.
//!
//! A message that the broker refuses because of its size would stop the relay, and nothing can mend
//! an event that is in the log. So its size is looked at before.

use domain::{Event, Message};

/// What the headers of a message may take: names and values of all of them are bounded, and come
/// to less.
const HEADER_BYTES: usize = 4 * 1024;

/// How large a public message may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageLimit {
    body_bytes: usize,
}

/// What the public would be told of an event is too large; nothing was appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the public message of {event_type} would have {body_bytes} bytes, at most {limit_bytes} are possible"
)]
pub struct MessageTooLarge {
    /// The event.
    pub event_type: String,
    /// How large the body of the message would be.
    pub body_bytes: usize,
    /// How large it may be.
    pub limit_bytes: usize,
}

impl MessageLimit {
    /// Of whatever size the log takes.
    pub const NONE: Self = Self { body_bytes: usize::MAX };

    /// At most `bytes` with its headers.
    #[must_use]
    pub const fn of_message_bytes(bytes: usize) -> Self {
        Self { body_bytes: bytes.saturating_sub(HEADER_BYTES) }
    }

    /// Refuses `event` if its message is larger. A message that cannot be written is not for this
    /// check to find.
    pub(crate) fn check(self, event: &Event) -> Result<(), MessageTooLarge> {
        if self == Self::NONE {
            return Ok(());
        }
        let body = Message::of(event).and_then(|message| message.encode().ok());
        match body {
            Some(body) if body.len() > self.body_bytes => Err(MessageTooLarge {
                event_type: event.payload_type().to_string(),
                body_bytes: body.len(),
                limit_bytes: self.body_bytes,
            }),
            _ => Ok(()),
        }
    }
}
