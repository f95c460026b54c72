//! The answers to commands.

use std::borrow::Cow;
use std::fmt::Display;

use axum::Json;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use eventstore::Receipt;
use schemars::JsonSchema;
use serde::Serialize;

use crate::etag::ETag;

const ANNALS_POSITION: HeaderName = HeaderName::from_static("annals-position");
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// 201 with `id` and `Location`, and how far the log had come.
pub(crate) struct Created<I> {
    /// Below which address it is.
    pub(crate) collection: Cow<'static, str>,
    /// The category of what was made.
    pub(crate) category: &'static str,
    pub(crate) id: I,
    pub(crate) receipt: Receipt,
}

/// The id of what was made.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Created")]
pub(crate) struct Body<I> {
    id: I,
}

impl<I: Display + Serialize> IntoResponse for Created<I> {
    fn into_response(self) -> Response {
        let Self { collection, category, id, receipt } = self;
        let location = format!("{collection}/{id}");
        let mut response = (StatusCode::CREATED, Json(Body { id })).into_response();
        let headers = response.headers_mut();
        if let Ok(location) = HeaderValue::try_from(location) {
            headers.insert(header::LOCATION, location);
        }
        tell(headers, &receipt, category);
        response
    }
}

/// 204, and how far the log had come.
pub(crate) struct Changed {
    /// The category of what was changed.
    pub(crate) category: &'static str,
    pub(crate) receipt: Receipt,
}

impl IntoResponse for Changed {
    fn into_response(self) -> Response {
        let mut response = StatusCode::NO_CONTENT.into_response();
        tell(response.headers_mut(), &self.receipt, self.category);
        response
    }
}

/// What a receipt says, in headers.
pub(crate) fn tell(headers: &mut HeaderMap, receipt: &Receipt, category: &str) {
    headers.insert(ANNALS_POSITION, HeaderValue::from(receipt.position.get()));
    if let Some(tag) = ETag::after(receipt, category).and_then(ETag::value) {
        headers.insert(header::ETAG, tag);
    }
    if receipt.repeated {
        headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
}
