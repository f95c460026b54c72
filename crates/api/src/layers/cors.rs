//! Whose pages may ask from a browser.

use axum::http::{HeaderName, HeaderValue, Method, header};
use std::time::Duration;
use tower_http::cors::{AllowOrigin, CorsLayer};
use url::Url;

/// How long a browser remembers what it may do.
const REMEMBERED: Duration = Duration::from_hours(1);

/// The origins of pages that may ask, each as `https://example.org`; none by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<HeaderValue>);

/// It is no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no origin: expected `https://` or `http://`, a host and maybe a port, nothing behind"
)]
pub struct InvalidOrigin(String);

impl Origins {
    /// Reads origins.
    ///
    /// # Errors
    /// One of them has another form.
    pub fn parse<'a>(origins: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidOrigin> {
        let read = |origin: &str| {
            let invalid = || InvalidOrigin(origin.to_owned());
            // Written as browsers write it, or it would never be the same.
            let read = Url::parse(origin).map_err(|_| invalid())?;
            let is_web = matches!(read.scheme(), "http" | "https");
            if !is_web || read.origin().ascii_serialization() != origin {
                return Err(invalid());
            }
            HeaderValue::from_str(origin).map_err(|_| invalid())
        };
        origins.into_iter().map(read).collect::<Result<_, _>>().map(Self)
    }
}

impl Origins {
    /// Whether pages of `origin` may ask.
    pub(crate) fn contains(&self, origin: &HeaderValue) -> bool {
        self.0.contains(origin)
    }
}

/// Answers preflights, and lets pages of `origins` read answers with what their headers say; nothing
/// if there are none.
pub(super) fn layer(origins: Origins) -> Option<CorsLayer> {
    if origins.0.is_empty() {
        return None;
    }
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins.0))
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            HeaderName::from_static("annals-min-position"),
            HeaderName::from_static("annals-organization"),
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("last-event-id"),
            HeaderName::from_static("traceparent"),
            HeaderName::from_static("tracestate"),
            super::request_id::X_REQUEST_ID,
        ])
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::RETRY_AFTER,
            HeaderName::from_static("annals-position"),
            HeaderName::from_static("idempotency-replayed"),
            HeaderName::from_static("ratelimit"),
            HeaderName::from_static("ratelimit-policy"),
            super::request_id::X_REQUEST_ID,
        ])
        .max_age(REMEMBERED);
    Some(layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_are_origins() {
        for origin in ["https://shop.example", "http://localhost:3000", "https://[::1]:8443"] {
            assert!(Origins::parse([origin]).is_ok(), "{origin}");
        }
        for other in [
            "",
            "*",
            "shop.example",
            "https://",
            "https://shop.example/",
            "https://Shop.example",
            "null",
            "https://shop.example:443",
            "http://a:b:c",
            "ftp://shop.example",
        ] {
            assert!(Origins::parse([other]).is_err(), "{other}");
        }
    }
}
