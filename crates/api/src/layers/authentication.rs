//! Who asks.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header;
use axum::http::uri::Authority;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::principal::{Grants, Principal};
use crate::problem::{Code, Problem};

/// Tells who asks: as long as there are no accounts, whoever reaches this machine.
///
/// What a browser was tricked into sending is refused: a page of somebody else's whose name leads
/// to this machine would pass for the same origin, and nothing else stands between such a page and
/// everything.
pub(super) async fn authenticate(
    State(granted): State<Grants>,
    mut request: Request,
    next: Next,
) -> Response {
    let named = request.uri().authority().cloned().map(Ok).or_else(|| {
        let host = request.headers().get(header::HOST)?;
        Some(Authority::try_from(host.as_bytes()))
    });
    let here = match &named {
        None => true,
        Some(Ok(authority)) => is_loopback(authority.host()),
        Some(Err(_)) => false,
    };
    if !here {
        let problem = Problem::new(Code::Misdirected, "This service answers to this machine only.");
        return problem.into_response();
    }
    request.extensions_mut().insert(Principal::anonymous(granted));
    next.run(request).await
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_of_this_machine() {
        for here in ["localhost", "LocalHost", "127.0.0.1", "127.1.2.3", "[::1]"] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in
            ["evil.example", "localhost.evil.example", "10.0.0.1", "0.0.0.0", "", "[::]"]
        {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }
}
