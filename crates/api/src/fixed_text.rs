//! Answers that are the same until another version of the program answers.

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ring::digest::{SHA256, digest};

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

    /// 200 with it, or 304 for who has it.
    pub(crate) fn answer(&'static self, asked: &HeaderMap) -> Response {
        let given = asked.get_all(header::IF_NONE_MATCH).iter();
        let mut given = given.filter_map(|value| value.to_str().ok()).flat_map(|it| it.split(','));
        let has_it = given.any(|tag| {
            let tag = tag.trim();
            tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == self.tag
        });
        let mut response = if has_it {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            ([(header::CONTENT_TYPE, self.media_type)], self.text.as_str()).into_response()
        };
        let mut put = |name: HeaderName, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(name, value);
            }
        };
        put(header::ETAG, &self.tag);
        put(header::CACHE_CONTROL, "no-cache");
        response
    }
}
