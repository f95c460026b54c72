//! The namespace of an installation: several can share one broker.

use std::fmt;
use std::str::FromStr;

/// The namespace of an installation: 1 to 32 lower-case letters, digits, `-` and `_`.
///
/// It begins every subject and, in upper case, names the stream: subjects `annals.>` are kept in
/// stream `ANNALS`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Namespace(String);

/// The text is no namespace.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a namespace has 1 to 32 lower-case letters, digits, '-' and '_'")]
pub struct InvalidNamespace;

impl Namespace {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The JetStream stream that keeps its messages.
    #[must_use]
    pub fn stream_name(&self) -> String {
        self.0.to_ascii_uppercase()
    }

    /// The full subject for `subject`: `ordering.order-placed.v1` is sent on
    /// `annals.ordering.order-placed.v1`.
    #[must_use]
    pub fn subject(&self, subject: &str) -> String {
        format!("{}.{subject}", self.0)
    }

    /// Every subject there is in it.
    #[must_use]
    pub fn all_subjects(&self) -> String {
        self.subject(">")
    }

    /// `subject` without the namespace, if it is in it.
    pub(crate) fn strip<'a>(&self, subject: &'a str) -> Option<&'a str> {
        subject.strip_prefix(&self.0)?.strip_prefix('.')
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self("annals".to_owned())
    }
}

impl FromStr for Namespace {
    type Err = InvalidNamespace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_')
        };
        if (1..=32).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidNamespace)
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_stream_and_begins_the_subjects() {
        let namespace = Namespace::default();
        assert_eq!(namespace.stream_name(), "ANNALS");
        assert_eq!(
            namespace.subject("catalog.product-listed.v1"),
            "annals.catalog.product-listed.v1"
        );
        assert_eq!(
            namespace.strip("annals.catalog.product-listed.v1"),
            Some("catalog.product-listed.v1")
        );
        assert_eq!(namespace.strip("annals2.catalog"), None);
    }

    #[test]
    fn what_would_break_a_subject_is_no_namespace() {
        for text in ["", "Annals", "a.b", "a b", "a>", "a*", "ä", &"a".repeat(33)] {
            assert_eq!(text.parse::<Namespace>(), Err(InvalidNamespace), "{text}");
        }
        assert!("annals-eu_1".parse::<Namespace>().is_ok());
    }
}
