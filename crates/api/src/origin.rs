//! Who asks, and under which name: what the edge knows of a command.

use application::Origin;
use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::request::Parts;
use eventstore::trace::{Parent::Elsewhere, read};
use uuid::Uuid;

use crate::problem::{Code, Problem};
use crate::trace::Traceparent;

/// The id of a request: given back in `X-Request-Id`, recorded as the correlation id.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestId(pub(crate) Uuid);

/// The origin of the command a request carries.
pub(crate) struct CommandOrigin(pub(crate) Origin);

impl<S: Send + Sync> FromRequestParts<S> for CommandOrigin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let request_id = parts.extensions.get::<RequestId>().map_or(Uuid::nil(), |id| id.0);
        let header = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let given = || header("traceparent").filter(|value| read(value, Elsewhere).is_some());
        let trace = parts.extensions.get::<Traceparent>().map(|it| it.0.as_str()).or_else(given);
        let mut keys = parts.headers.get_all("idempotency-key").iter();
        let idempotency_key = match (keys.next(), keys.next()) {
            (None, _) => None,
            (Some(key), None) => Some(read_key(key)?),
            (Some(_), Some(_)) => return Err(refused("is given more than once")),
        };
        Ok(Self(Origin {
            // There are no accounts yet: whoever reaches the loopback address may ask.
            actor: "anonymous".to_owned(),
            correlation_id: request_id,
            trace: trace.map(ToOwned::to_owned),
            idempotency_key,
        }))
    }
}

fn read_key(value: &HeaderValue) -> Result<String, Problem> {
    let key = value.to_str().ok().filter(|key| {
        (1..=255).contains(&key.len()) && key.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    });
    key.map(ToOwned::to_owned).ok_or_else(|| refused("must be 1 to 255 printable ASCII characters"))
}

fn refused(detail: &str) -> Problem {
    Problem::new(Code::InvalidHeader, "The command cannot be recognised when it comes again.")
        .field("Idempotency-Key", detail)
}
