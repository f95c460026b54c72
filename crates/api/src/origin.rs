//! Who asks, and under which name: what the edge knows of a command.

use application::Origin;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use uuid::Uuid;

use crate::problem::{Code, Problem};

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
        let trace = header("traceparent").filter(|value| is_traceparent(value));
        let idempotency_key = match parts.headers.get("idempotency-key") {
            None => None,
            Some(_) => Some(key(header("idempotency-key"))?),
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

fn key(value: Option<&str>) -> Result<String, Problem> {
    value.filter(|key| (1..=255).contains(&key.len())).map(ToOwned::to_owned).ok_or_else(|| {
        Problem::new(Code::InvalidHeader, "The command cannot be recognised when it comes again.")
            .field("Idempotency-Key", "must be 1 to 255 visible ASCII characters")
    })
}

/// Whether the value has the form of version 00 of W3C trace context.
fn is_traceparent(value: &str) -> bool {
    let lengths = value.split('-').map(str::len);
    lengths.eq([2, 32, 16, 2])
        && value.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'))
}
