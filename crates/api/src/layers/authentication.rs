//! Who asks.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use application::access::Access;
use application::identity::{Authenticated, Identity, NotAuthenticated};
use application::opaque_token::API_KEY_PREFIX;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::identity::{Grant, RoleName};
use domain::ids::{OrganizationId, UserId};
use percent_encoding::percent_decode_str;

use crate::principal::{Acting, Grants, Principal, SignedIn};
use crate::problem::{Code, Problem};

/// The role that everybody has who is logged in, if there is one of that name.
const MEMBER: &str = "member";

/// In which organization who asks wants to act.
const ORGANIZATION: HeaderName = HeaderName::from_static("annals-organization");

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
            if headers.contains_key(ORGANIZATION) {
                let detail = "It takes a login to act in an organization.";
                return Err(Problem::new(Code::NotLoggedIn, detail));
            }
            return Ok(Principal::anonymous(self.anonymous.clone()));
        };
        let Some((identity, access)) = &self.users else {
            return Err(Problem::new(Code::InvalidToken, "Nobody has an account here."));
        };
        if token.starts_with(API_KEY_PREFIX) {
            let known = identity.authenticate_key(token, access).await.map_err(refused)?;
            let roles = self.grants_of(&known.roles, access);
            let principal = Principal::program(&known, self.anonymous.clone(), roles);
            return act(principal, access, known.user, Named::of(headers, uri)?).await;
        }
        let Authenticated { user, session, roles } =
            identity.authenticate(token, access).await.map_err(refused)?;
        let roles = self.grants_of(&roles, access);
        let principal = Principal::user(SignedIn { user, session }, self.anonymous.clone(), roles);
        act(principal, access, user, Named::of(headers, uri)?).await
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

/// An organization that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Named {
    organization: OrganizationId,
    /// Whether by the header: then nothing else is meant.
    is_confined: bool,
}

impl Named {
    /// What the header names, or the address.
    fn of(headers: &HeaderMap, uri: &Uri) -> Result<Option<Self>, Problem> {
        let in_address = uri.path().strip_prefix("/v1/organizations/").and_then(|rest| {
            let id = rest.split('/').next()?;
            let id = percent_decode_str(id).decode_utf8().ok()?;
            id.parse().ok().map(OrganizationId::new)
        });
        let mut values = headers.get_all(ORGANIZATION).iter();
        let Some(value) = values.next() else {
            return Ok(in_address.map(|organization| Self { organization, is_confined: false }));
        };
        let named = value.to_str().ok().and_then(|id| id.parse().ok()).map(OrganizationId::new);
        let named = named.filter(|named| {
            values.next().is_none() && in_address.is_none_or(|address| address == *named)
        });
        let organization = named.ok_or_else(|| {
            Problem::new(Code::InvalidHeader, "Nobody knows in which organization to act.").field(
                "Annals-Organization",
                "must be one id, and the one of the address if that has one",
            )
        })?;
        Ok(Some(Self { organization, is_confined: true }))
    }
}

/// `principal`, who acts as a member of what is `named`, if anything is.
///
/// # Errors
/// The user does not belong to it, and meant nothing else.
async fn act(
    principal: Principal,
    access: &Access,
    user: UserId,
    named: Option<Named>,
) -> Result<Principal, Problem> {
    let Some(Named { organization, is_confined }) = named else { return Ok(principal) };
    let role = access.grants_in(organization, user).await;
    match role.map_err(|error| refused(NotAuthenticated::Access(error)))? {
        Some(role) => Ok(principal.acting(Acting { organization, role, is_confined })),
        None if is_confined => {
            let detail = "You do not belong to the organization that `Annals-Organization` names.";
            Err(Problem::new(Code::Forbidden, detail))
        }
        // Who may do it everywhere may do it there.
        None => Ok(principal),
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
