//! Whether who asks may ask for this.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::principal::{Permission, Principal};
use crate::problem::{Code, Problem};

/// Refuses whoever has not the permission that the route is declared with (law 10), and everybody
/// if nobody has said who it is.
pub(crate) async fn authorize(
    State(permission): State<Permission>,
    request: Request,
    next: Next,
) -> Response {
    let principal = request.extensions().get::<Principal>();
    if principal.is_some_and(|principal| principal.may(permission)) {
        return next.run(request).await;
    }
    let detail = format!("It takes the permission `{permission}`.");
    Problem::new(Code::Forbidden, detail).into_response()
}
