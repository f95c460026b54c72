//! Whether who asks may ask for this.

use axum::extract::{FromRequestParts as _, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::identity::Reach;
use domain::ids::OrganizationId;

use crate::principal::{Permission, Principal};
use crate::problem::{Code, Problem};

/// What a route asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) permission: Permission,
    /// How far it must go at least.
    pub(crate) reach: Reach,
    /// Whether what is done is done for the organization that is acted in.
    pub(crate) is_by_tenant: bool,
}

/// For which organization a command is done, where that is for one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DoneFor(pub(crate) OrganizationId);

/// Refuses whoever has not the permission that the route is declared with, that far (law 10), and everybody
/// if nobody has said who it is.
pub(crate) async fn authorize(
    State(asked): State<Asked>,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    match check(asked, &mut parts).await {
        Ok(()) => next.run(Request::from_parts(parts, body)).await,
        Err(problem) => problem.into_response(),
    }
}

async fn check(asked: Asked, parts: &mut Parts) -> Result<(), Problem> {
    let nobody = || Problem::new(Code::NotLoggedIn, "Nobody has said who asks.");
    let principal = parts.extensions.get::<Principal>().cloned().ok_or_else(nobody)?;
    principal.check(asked.permission, asked.reach)?;
    let acting = principal.organization();
    if asked.reach == Reach::Organization
        && principal.reach(asked.permission) < Some(Reach::All)
        && acting != named(parts).await
    {
        // What reaches as far as one organization does not reach another, however it is written.
        let detail = "You do not belong to the organization that the address names.";
        return Err(Problem::new(Code::Forbidden, detail));
    }
    if let Some(organization) = acting.filter(|_| asked.is_by_tenant) {
        parts.extensions.insert(DoneFor(organization));
    }
    Ok(())
}

/// The organization in the address, as handlers will read it.
async fn named(parts: &mut Parts) -> Option<OrganizationId> {
    let parameters = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    let (_, id) = parameters.iter().find(|(name, _)| *name == "organization")?;
    id.parse().ok().map(OrganizationId::new)
}
