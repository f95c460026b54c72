//! The answer to a command that made something.

use std::fmt::Display;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use eventstore::Receipt;
use serde::Serialize;

const ANNALS_POSITION: HeaderName = HeaderName::from_static("annals-position");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// 201 with `id` and `Location`, and how far the log had come.
pub(crate) struct Created<I> {
    pub(crate) collection: &'static str,
    pub(crate) id: I,
    pub(crate) receipt: Receipt,
}

#[derive(Serialize)]
struct Body<I> {
    id: I,
}

impl<I: Display + Serialize> IntoResponse for Created<I> {
    fn into_response(self) -> Response {
        let Self { collection, id, receipt } = self;
        let location = format!("{collection}/{id}");
        let mut response = (StatusCode::CREATED, Json(Body { id })).into_response();
        let headers = response.headers_mut();
        if let Ok(location) = HeaderValue::try_from(location) {
            headers.insert(header::LOCATION, location);
        }
        headers.insert(ANNALS_POSITION, HeaderValue::from(receipt.position.get()));
        if receipt.repeated {
            headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
        }
        response
    }
}
