//! JSON bodies: refused with a pointer to everything that is wrong.

mod fields;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};

pub(crate) use fields::{Fields, Shape};

use crate::problem::{Code, Problem};

/// A JSON object, read as a `T`.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: Shape, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !declares_json(request.headers()) {
            let detail = "Expected `application/json`.";
            return Err(Problem::new(Code::UnsupportedMediaType, detail));
        }
        let bytes = axum::body::Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                Problem::new(Code::BodyTooLarge, "The body exceeds the limit of this service.")
            } else {
                Problem::new(Code::MalformedJson, "The body could not be read to its end.")
            }
        })?;
        fields::read(&bytes).map(Self)
    }
}

fn declares_json(headers: &HeaderMap) -> bool {
    let declared = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = declared.and_then(|value| value.split(';').next());
    media_type.is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case("application/json"))
}
