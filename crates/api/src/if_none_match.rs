//! Answers that are not sent again to who has them.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The tags of what the client has, from `If-None-Match`.
#[derive(Debug)]
pub(crate) struct IfNoneMatch(String);

impl<S: Send + Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let values = parts.headers.get_all(header::IF_NONE_MATCH).iter();
        let given: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
        Ok(Self(given.join(",")))
    }
}

impl IfNoneMatch {
    /// What `make` makes, which has `tag`; 304 without it if the client has it. Caches do with both
    /// what `caching` says.
    pub(crate) fn answer(
        &self,
        tag: &str,
        caching: &'static str,
        make: impl FnOnce() -> Response,
    ) -> Response {
        // The weak comparison: it is about what is shown, not about its bytes.
        let has_it = self
            .0
            .split(',')
            .map(str::trim)
            .any(|given| given == "*" || given.strip_prefix("W/").unwrap_or(given) == tag);
        let mut response = if has_it { StatusCode::NOT_MODIFIED.into_response() } else { make() };
        let mut put = |name: HeaderName, value| response.headers_mut().insert(name, value);
        if let Ok(tag) = HeaderValue::from_str(tag) {
            put(header::ETAG, tag);
        }
        put(header::CACHE_CONTROL, HeaderValue::from_static(caching));
        response
    }
}
