//! Where a command comes from: what the edge knows of it.

mod traceparent;

use std::convert::Infallible;

use application::Origin;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use uuid::Uuid;

use crate::layers::{IdempotencyKey, RequestId};
use crate::principal::Principal;

/// The origin of the command a request carries.
pub(crate) struct CommandOrigin(pub(crate) Origin);

impl<S: Send + Sync> FromRequestParts<S> for CommandOrigin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let extensions = &parts.extensions;
        let trace = parts.headers.get("traceparent").and_then(|value| value.to_str().ok());
        Ok(Self(Origin {
            actor: extensions.get().map_or("", Principal::actor).to_owned(),
            correlation_id: extensions.get::<RequestId>().map_or(Uuid::nil(), |id| id.0),
            trace: trace.filter(|value| traceparent::is_valid(value)).map(ToOwned::to_owned),
            idempotency_key: extensions
                .get::<IdempotencyKey>()
                .map(|key| key.0.as_ref().to_owned()),
        }))
    }
}
