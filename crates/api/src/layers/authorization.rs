//! Whether who asks may ask for this.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use domain::identity::Reach;

use crate::principal::{Permission, Principal};
use crate::problem::{Code, Problem};

/// Refuses whoever has not the permission that the route is declared with, that far (law 10), and everybody
/// if nobody has said who it is.
pub(crate) async fn authorize(
    State((permission, reach)): State<(Permission, Reach)>,
    request: Request,
    next: Next,
) -> Response {
    let principal = request.extensions().get::<Principal>();
    let checked = principal.map_or_else(
        || Err(Problem::new(Code::NotLoggedIn, "Nobody has said who asks.")),
        |principal| principal.check(permission, reach),
    );
    match checked {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}
