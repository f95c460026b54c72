//! Whose data it is.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::StreamId;

/// The stream of a subject is this and its name; it must be a stream id as well.
const STREAM: &str = "eventstore.subject-";

/// The category of the streams of subjects, whose events are the erasures.
pub const SUBJECTS: &str = "eventstore.subject";

/// Names that begin so are the store's own.
const RESERVED: &str = "eventstore.";

const MAX_BYTES: usize = 200 - STREAM.len();

/// Whose data it is, for example `customer:01943c5e-8f22-7d10-8a55-0c3b9d1e4f22`.
///
/// 1 to 181 bytes, no control characters, not beginning with `eventstore.`. It is stored as it is,
/// in the log and beside it, and stays when the data is erased: take an id, never a name or an
/// address. Clones share the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Subject(Arc<str>);

impl Subject {
    /// Takes `text` as the name of a subject.
    ///
    /// # Errors
    /// It is empty, too long, reserved or holds a control character.
    pub fn new(text: impl Into<Arc<str>>) -> Result<Self, InvalidSubject> {
        let text = text.into();
        let fits = (1..=MAX_BYTES).contains(&text.len()) && !text.chars().any(char::is_control);
        if fits && !text.starts_with(RESERVED) { Ok(Self(text)) } else { Err(InvalidSubject) }
    }

    /// A name that the database holds already.
    pub(crate) const fn recorded(text: Arc<str>) -> Self {
        Self(text)
    }

    /// Under whose key digests are made; nobody can erase it.
    pub(super) fn of_digests() -> Self {
        Self("eventstore.digests".into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where its erasure is recorded.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        StreamId::recorded(format!("{STREAM}{}", self.0).into())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Subject {
    type Error = InvalidSubject;

    fn try_from(text: String) -> Result<Self, InvalidSubject> {
        Self::new(text)
    }
}

/// The text is no name of a subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a subject has 1 to {MAX_BYTES} bytes, no control characters and does not begin with `{RESERVED}`"
)]
pub struct InvalidSubject;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_subject_has_a_stream() {
        let longest = Subject::new("s".repeat(MAX_BYTES)).unwrap();
        assert!(StreamId::new(longest.stream().as_str()).is_ok());
        for refused in ["", "a\nb", "eventstore.digests", &"s".repeat(MAX_BYTES + 1)] {
            assert_eq!(Subject::new(refused), Err(InvalidSubject), "{refused:?}");
        }
    }
}
