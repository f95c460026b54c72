//! Answers that are the same until another version of the program answers.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use ring::digest::{SHA256, digest};

use crate::if_none_match::IfNoneMatch;

/// A text that does not change, and its tag.
pub(crate) struct FixedText {
    media_type: &'static str,
    text: String,
    tag: String,
}

impl FixedText {
    pub(crate) fn new(media_type: &'static str, text: String) -> Self {
        let hash = digest(&SHA256, text.as_bytes());
        let digits = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}"));
        Self { media_type, tag: format!("\"{}\"", digits.collect::<String>()), text }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The text, for who has not got it.
    pub(crate) fn answer(&'static self, if_none_match: &IfNoneMatch) -> Response {
        if_none_match.answer(&self.tag, "no-cache", || {
            ([(header::CONTENT_TYPE, self.media_type)], self.text.as_str()).into_response()
        })
    }
}
