//! Who asks, and under which name: what the edge knows of a command.

use application::Origin;
use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
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

/// Whether the value is of version 00 of W3C trace context, with ids that are not all zeros.
fn is_traceparent(value: &str) -> bool {
    let mut parts = value.split('-');
    let hexadecimal = |part: &str, length| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let id =
        |part: &str, length| hexadecimal(part, length) && part.bytes().any(|byte| byte != b'0');
    parts.next() == Some("00")
        && parts.next().is_some_and(|trace| id(trace, 32))
        && parts.next().is_some_and(|parent| id(parent, 16))
        && parts.next().is_some_and(|flags| hexadecimal(flags, 2))
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::is_traceparent;

    #[test]
    fn only_a_valid_traceparent_is_recorded() {
        assert!(is_traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-00",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
        ] {
            assert!(!is_traceparent(wrong), "{wrong}");
        }
    }
}
