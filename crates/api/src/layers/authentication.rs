//! Who asks.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use application::access::Access;
use application::identity::{Authenticated, Identity, NotAuthenticated};
use application::opaque_token::API_KEY_PREFIX;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::identity::{Grant, RoleName};

use crate::principal::{Grants, Principal, SignedIn};
use crate::problem::{Code, Problem};

/// The role that everybody has who is logged in, if there is one of that name.
const MEMBER: &str = "member";

/// What says who asks.
#[derive(Clone)]
pub(crate) struct Door {
    users: Option<(Identity, Access)>,
    anonymous: Grants,
    member: Option<RoleName>,
}

impl Door {
    pub(crate) fn new(identity: Identity, access: Access, anonymous: Grants) -> Self {
        Self { users: Some((identity, access)), ..Self::without_users(anonymous) }
    }

    /// Where nobody has an account.
    pub(crate) fn without_users(anonymous: Grants) -> Self {
        Self { users: None, anonymous, member: RoleName::try_from(MEMBER.to_owned()).ok() }
    }

    async fn principal(&self, headers: &HeaderMap, uri: &Uri) -> Result<Principal, Problem> {
        let Some(token) = bearer(headers)? else {
            self.is_for_us(headers, uri)?;
            return Ok(Principal::anonymous(self.anonymous.clone()));
        };
        let Some((identity, access)) = &self.users else {
            return Err(Problem::new(Code::InvalidToken, "Nobody has an account here."));
        };
        if token.starts_with(API_KEY_PREFIX) {
            let known = identity.authenticate_key(token, access).await.map_err(refused)?;
            let roles = self.grants_of(&known.roles, access);
            return Ok(Principal::program(&known, self.anonymous.clone(), roles));
        }
        let Authenticated { user, session, roles } =
            identity.authenticate(token, access).await.map_err(refused)?;
        let roles = self.grants_of(&roles, access);
        Ok(Principal::user(SignedIn { user, session }, self.anonymous.clone(), roles))
    }

    /// What `roles` grant, and what everybody has who is logged in.
    fn grants_of(&self, roles: &[RoleName], access: &Access) -> Vec<Arc<BTreeSet<Grant>>> {
        let names = roles.iter().chain(&self.member);
        names.filter_map(|name| access.grants(name)).collect()
    }

    /// Where strangers may do what is not for strangers, only this machine is answered.
    ///
    /// What a browser was tricked into sending is refused: a page of somebody else's whose name leads
    /// to this machine would pass for the same origin, and nothing else stands between such a page and
    /// everything.
    fn is_for_us(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), Problem> {
        if self.anonymous.are_for_strangers() {
            return Ok(());
        }
        let named = uri.authority().cloned().map(Ok).or_else(|| {
            let host = headers.get(header::HOST)?;
            Some(Authority::try_from(host.as_bytes()))
        });
        let here = match &named {
            None => true,
            Some(Ok(authority)) => is_loopback(authority.host()),
            Some(Err(_)) => false,
        };
        if here {
            return Ok(());
        }
        let detail = "Whoever is not logged in is answered on this machine only.";
        Err(Problem::new(Code::Misdirected, detail))
    }
}

/// Tells who asks: the user whose access token is sent, the program whose API key is, or anybody.
pub(super) async fn authenticate(
    State(door): State<Door>,
    mut request: Request,
    next: Next,
) -> Response {
    match door.principal(request.headers(), request.uri()).await {
        Ok(principal) => {
            request.extensions_mut().insert(principal);
            next.run(request).await
        }
        Err(problem) => problem.into_response(),
    }
}

/// The access token or API key that is sent, if one is.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().ok(),
        (Some(_), Some(_)) => None,
    };
    let token = value.and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    token.map(Some).ok_or_else(|| {
        Problem::new(
            Code::InvalidToken,
            "`Authorization` must be `Bearer` and one access token or API key.",
        )
    })
}

fn refused(error: NotAuthenticated) -> Problem {
    match error {
        NotAuthenticated::Token(_) => {
            Problem::new(Code::InvalidToken, "It is none of ours, or over.").because(error)
        }
        NotAuthenticated::ApiKey => {
            let detail = "The API key is none of ours, or may not be used any more.";
            Problem::new(Code::InvalidToken, detail)
        }
        NotAuthenticated::Stale => {
            let detail = "Something has happened to the user or the session since it was issued.";
            Problem::new(Code::InvalidToken, detail)
        }
        NotAuthenticated::Access(_) => {
            let detail = "Whether the access token or API key still holds is not known.";
            Problem::new(Code::DatabaseUnavailable, detail).because(error)
        }
        NotAuthenticated::Keys(error) => error.into(),
    }
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

    #[test]
    fn one_token_is_read_and_no_other_scheme() {
        let read = |values: &[&str]| {
            let values = values.iter().map(|value| (header::AUTHORIZATION, value.parse().unwrap()));
            let headers: HeaderMap = values.collect();
            bearer(&headers).map(|token| token.map(ToOwned::to_owned)).map_err(|_| ())
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["Bearer abc"]), Ok(Some("abc".to_owned())));
        assert_eq!(read(&["bearer abc"]), Ok(Some("abc".to_owned())));
        for refused in [&["Basic abc"][..], &["Bearer"], &["abc"], &["Bearer a", "Bearer b"]] {
            assert_eq!(read(refused), Err(()), "{refused:?}");
        }
    }
}
