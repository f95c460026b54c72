//! Which encoding an answer may have.

use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

/// Leaves of `Accept-Encoding` whether gzip is taken. A client that refuses what there is gets it as
/// it is (RFC 9110, 12.5.3): refused after the fact, a command that took effect would look like one
/// that did not.
pub(super) async fn simplify(mut request: Request, next: Next) -> Response {
    let values = request.headers().get_all(header::ACCEPT_ENCODING).iter();
    let takes_gzip = values.filter_map(|value| value.to_str().ok()).any(takes_gzip);
    let headers = request.headers_mut();
    headers.remove(header::ACCEPT_ENCODING);
    if takes_gzip {
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    next.run(request).await
}

fn takes_gzip(value: &str) -> bool {
    value.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let is_refused = parts.any(|parameter| {
            let quality = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
            quality.and_then(|quality| quality.parse().ok()) == Some(0.0)
        });
        is_gzip && !is_refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_taken_where_it_is_named_and_not_refused() {
        for taken in ["gzip", "br, GZIP", "deflate, gzip;q=0.5", "gzip ; q=1"] {
            assert!(takes_gzip(taken), "{taken}");
        }
        for other in
            ["", "br", "*", "gzip;q=0", "gzip; q=0.000", "identity;q=0", "*;q=0", "gzipped"]
        {
            assert!(!takes_gzip(other), "{other}");
        }
    }
}
