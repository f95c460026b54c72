//! The feed as server-sent events.

use std::convert::Infallible;
use std::iter;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::IntoResponse;
use bytes::Bytes;
use eventstore::Position;
use futures_util::{StreamExt as _, stream};
use serde_json::json;

use super::follower::{Closing, Follower, Next};

/// The shortest time before a client connects again.
const RETRY_MS: u64 = 2_000;

/// Clients of a process that goes away do not all come back in the same moment, but within so long.
const SPREAD_MS: u64 = 2_000;

/// Asks proxies such as nginx to pass on what there is.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

pub(super) fn answer(mut follower: Follower, snapshot: Option<String>) -> impl IntoResponse {
    let begin = begin(&mut follower, snapshot);
    let rest = stream::unfold(follower, async |mut follower| {
        let next = follower.next().await?;
        Some((text(&next), follower))
    });
    let texts = stream::iter(iter::once(begin)).chain(rest).map(Ok::<_, Infallible>);
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (X_ACCEL_BUFFERING, HeaderValue::from_static("no")),
    ];
    (headers, Body::from_stream(texts))
}

/// When to come back, and where from: a client that loses the connection before it was told
/// anything must not begin later than it did.
fn begin(follower: &mut Follower, snapshot: Option<String>) -> Bytes {
    let number = follower.seat().number();
    let retry = RETRY_MS + number.wrapping_mul(997) % SPREAD_MS;
    let position = follower.position();
    let snapshot = snapshot.map(|json| format!("event: snapshot\ndata: {json}\n"));
    let snapshot = snapshot.unwrap_or_default();
    format!("retry: {retry}\n\nid: {position}\n{snapshot}\n").into()
}

fn text(next: &Next) -> Bytes {
    match next {
        Next::Messages(segment, run) => segment.text(run),
        Next::Heartbeat(position) => progress(*position).into(),
        Next::Closing(closing) => {
            let resume_after = closing.resume_after().map(|position| position.to_string());
            let data = json!({ "reason": closing.reason(), "resume_after": resume_after });
            let id = match closing {
                // So that a browser does not come back with it.
                Closing::Rewound => String::new(),
                _ => resume_after.unwrap_or_default(),
            };
            format!("id: {id}\nevent: closing\ndata: {data}\n\n").into()
        }
    }
}

/// Without data it is no event, but the client keeps the id.
fn progress(position: Position) -> String {
    format!(": heartbeat\nid: {position}\n\n")
}
