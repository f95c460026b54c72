//! Which request it is.

use std::sync::Arc;

use application::ports::IdSource;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use uuid::Uuid;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of a request: given back in `X-Request-Id`, recorded as the correlation id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestId(pub(crate) Uuid);

/// Gives the request an id, the client's if it is a UUID, and tells it in the response.
pub(super) async fn identify(
    State(ids): State<Arc<dyn IdSource>>,
    mut request: Request,
    next: Next,
) -> Response {
    let given = request.headers().get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    let id = given.and_then(|value| Uuid::try_parse(value).ok()).unwrap_or_else(|| ids.next());
    request.extensions_mut().insert(RequestId(id));
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}
