//! What is sent again, and where to.

use std::fmt;
use std::num::NonZeroU32;

use eventstore::Position;

use crate::Namespace;

/// What is sent again, and where to.
#[derive(Debug, Clone)]
pub struct Request {
    /// On which subject.
    pub subject: Subject,
    /// Only what comes after this position …
    pub after: Position,
    /// … and up to this one.
    pub until: Position,
    /// Only messages of these types, with or without version, for example
    /// `ordering.order-placed.v1`; all if there are none.
    pub types: Vec<String>,
    /// Most messages in a second; as fast as the broker takes them if there is none.
    pub rate: Option<NonZeroU32>,
}

impl Request {
    /// Whether it asks for messages that are sent on `subject`.
    pub(super) fn wants(&self, namespace: &Namespace, subject: &str) -> bool {
        let told = namespace.strip(subject).unwrap_or(subject);
        let name = told.rsplit_once(".v").map_or(told, |(name, _)| name);
        self.types.is_empty() || self.types.iter().any(|wanted| wanted == told || wanted == name)
    }
}

/// A subject that a replay may be sent on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject(String);

/// A replay must not be sent on this subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubject {
    /// It is no subject, or stands for several.
    #[error(
        "{0:?} is not one subject: use tokens of letters, digits, '-' and '_', with dots between them"
    )]
    Form(String),
    /// It belongs to the installation.
    #[error(
        "{subject} is inside of {namespace}.>, where everybody reads what is published; use a \
         subject of the subscriber's own"
    )]
    Public {
        /// The subject.
        subject: String,
        /// Of the installation.
        namespace: Namespace,
    },
}

impl Subject {
    /// `text`, if a replay of the installation `namespace` may be sent there.
    ///
    /// # Errors
    /// [`InvalidSubject`] says why not.
    pub fn new(text: &str, namespace: &Namespace) -> Result<Self, InvalidSubject> {
        let is_token = |token: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            !token.is_empty() && token.bytes().all(allowed)
        };
        // `_INBOX` and the like are of the client's library.
        if !text.split('.').all(is_token) || text.starts_with('_') {
            return Err(InvalidSubject::Form(text.to_owned()));
        }
        if text == namespace.as_str() || namespace.strip(text).is_some() {
            let namespace = namespace.clone();
            return Err(InvalidSubject::Public { subject: text.to_owned(), namespace });
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_read_is_refused() {
        let namespace = Namespace::default();
        for text in [
            "", "annals", "annals.x", "a.*", "a.>", ">", "$JS.API", "a..b", "a b", "_INBOX.x",
            "$SYS",
        ] {
            assert!(Subject::new(text, &namespace).is_err(), "{text}");
        }
        for text in ["replay.billing", "annals2.x", "billing"] {
            assert!(Subject::new(text, &namespace).is_ok(), "{text}");
        }
    }
}
