//! A panic is a problem like any other, and tells nothing of itself.

use std::any::Any;

use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;

use super::security_headers;
use crate::problem::{Code, Problem};

/// What a panic becomes.
type Recover = fn(Box<dyn Any + Send>) -> Response;

/// Lies outside of what observes requests, so that a panic there is caught too; [`observe`]
/// notices that it is unwound.
///
/// [`observe`]: super::observation::observe
pub(super) fn layer() -> CatchPanicLayer<Recover> {
    CatchPanicLayer::custom(recover as Recover)
}

fn recover(_: Box<dyn Any + Send>) -> Response {
    let problem = Problem::new(Code::Internal, "The request could not be handled.");
    let mut response = problem.into_response();
    security_headers::protect(response.headers_mut());
    response
}
