//! How long a request may take.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::{Code, Problem};

/// Answers a problem when the time is over. Statements that the request waits for end by themselves:
/// the database has been told the same limit.
pub(super) async fn within(
    State(deadline): State<Duration>,
    request: Request,
    next: Next,
) -> Response {
    let detail = if request.method().is_safe() {
        "Nothing was changed."
    } else {
        "A command may still take effect."
    };
    match tokio::time::timeout(deadline, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(Code::DeadlineExceeded, detail).into_response(),
    }
}
