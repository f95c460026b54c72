//! Entity tags: which state of a document a client has, and which one a command is meant for.
//!
//! A tag is `"<version>-<position>"`: the version of the aggregate's stream, and where the log
//! changed what is shown last. The whole tells states apart (`If-None-Match`); a command is bound to
//! the version alone (`If-Match`), so that stock that was sold meanwhile does not stand against
//! another price.

use std::fmt;

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use eventstore::{Position, Receipt, StreamVersion};
use projections::Revision;
use serde::Serialize;

use crate::if_none_match::IfNoneMatch;
use crate::problem::{Code, Problem};

/// The tag of a state of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ETag(Revision);

impl ETag {
    pub(crate) const fn of(revision: Revision) -> Self {
        Self(revision)
    }

    /// Of the aggregate of `category` that a command wrote last, if it wrote it.
    pub(crate) fn after(receipt: &Receipt, category: &str) -> Option<Self> {
        let mut streams = receipt.streams.iter();
        let written = streams.find(|(stream, _)| stream.category() == category);
        written.map(|(_, version)| Self(Revision { version: *version, position: receipt.position }))
    }

    /// `body`, which is of this state, unless the client has it.
    pub(crate) fn show<T: Serialize>(self, if_none_match: &IfNoneMatch, body: T) -> Response {
        let tag = self.to_string();
        if_none_match.answer(&tag, "private, no-cache", || Json(body).into_response())
    }

    fn parse(text: &str) -> Option<Self> {
        let (version, position) = text.strip_prefix('"')?.strip_suffix('"')?.split_once('-')?;
        let number = |text: &str| {
            text.parse::<i64>().ok().filter(|number| *number > 0 && number.to_string() == text)
        };
        let version = StreamVersion::new(number(version)?);
        Some(Self(Revision { version, position: Position::new(number(position)?) }))
    }

    pub(crate) fn value(self) -> Option<HeaderValue> {
        HeaderValue::try_from(self.to_string()).ok()
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}-{}\"", self.0.version, self.0.position)
    }
}

/// The version a command is meant for, from `If-Match`, which must be given.
#[derive(Debug, Clone, Copy)]
pub(crate) enum IfMatch {
    /// `*`: whatever it is.
    Any,
    /// Exactly this.
    Version(StreamVersion),
    /// A tag that no state has.
    Never,
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(header::IF_MATCH).iter();
        let text = match (values.next(), values.next()) {
            (None, _) => {
                let detail = "Say which state of it you have seen.";
                return Err(Problem::new(Code::PreconditionRequired, detail)
                    .field("If-Match", "must be given"));
            }
            (Some(value), None) => value.to_str().map_or("", str::trim),
            (Some(_), Some(_)) => "",
        };
        let tag = text.strip_prefix("W/").unwrap_or(text);
        let is_one = tag.len() >= 2 && tag.starts_with('"') && tag.ends_with('"');
        let inner = tag.get(1..tag.len().saturating_sub(1)).unwrap_or_default();
        match text {
            "*" => Ok(Self::Any),
            _ if is_one && !inner.contains('"') => Ok(match ETag::parse(text) {
                Some(ETag(revision)) => Self::Version(revision.version),
                None => Self::Never,
            }),
            _ => Err(Problem::new(Code::InvalidHeader, "The command cannot be bound to a state.")
                .field("If-Match", "must be one `ETag` of an answer, or `*`")),
        }
    }
}

impl IfMatch {
    /// The version that the aggregate must be at, if it matters.
    ///
    /// # Errors
    /// 412: no state has this tag.
    pub(crate) fn version(self) -> Result<Option<StreamVersion>, Problem> {
        match self {
            Self::Any => Ok(None),
            Self::Version(version) => Ok(Some(version)),
            Self::Never => {
                Err(Problem::new(Code::PreconditionFailed, "No state of it has this tag."))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_tag_is_read_as_it_was_written(version in 1_i64.., position in 1_i64..) {
            let (version, position) = (StreamVersion::new(version), Position::new(position));
            let tag = ETag::of(Revision { version, position });
            prop_assert_eq!(ETag::parse(&tag.to_string()), Some(tag));
        }

        #[test]
        fn whatever_is_read_is_written_the_same(text in "\"[-+0-9 ]{0,6}\"") {
            if let Some(tag) = ETag::parse(&text) {
                prop_assert_eq!(tag.to_string(), text);
            }
        }
    }
}
