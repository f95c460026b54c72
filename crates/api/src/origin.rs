//! Where a command comes from: what the edge knows of it.

use std::convert::Infallible;

use application::Origin;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use eventstore::trace::{Parent::Elsewhere, read};
use uuid::Uuid;

use crate::layers::{DoneFor, IdempotencyKey, RequestId};
use crate::principal::Principal;
use crate::trace::Traceparent;

/// The origin of the command a request carries.
pub(crate) struct CommandOrigin(pub(crate) Origin);

impl<S: Send + Sync> FromRequestParts<S> for CommandOrigin {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let extensions = &parts.extensions;
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let given = || header("traceparent").filter(|value| read(value, Elsewhere).is_some());
        let trace = extensions.get::<Traceparent>().map(|ours| ours.0.as_str()).or_else(given);
        let key = extensions.get::<IdempotencyKey>();
        Ok(Self(Origin {
            actor: extensions.get().map_or("", Principal::actor).to_owned(),
            tenant: extensions.get::<DoneFor>().map(|done| done.0.get()),
            correlation_id: extensions.get::<RequestId>().map_or(Uuid::nil(), |id| id.0),
            trace: trace.map(ToOwned::to_owned),
            idempotency_key: key.map(|key| key.0.as_ref().to_owned()),
        }))
    }
}
