//! `Idempotency-Key`: the name that a client gives a command.
//!
//! What makes a command idempotent is its record, which the append writes together with the events
//! (law 3): the same name again gives the answer of the first time. Here the name is read, and two
//! requests of one name at the same time are told apart as the draft asks for
//! (draft-ietf-httpapi-idempotency-key-header-07): the second is refused while the first is in hand.
//! A second one that reaches another process meanwhile is not refused: it waits for the order lock of
//! the log and is answered like a repetition.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::principal::Principal;
use crate::problem::{Code, Problem};

const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Whether a command must be given a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// Sent twice by accident it would do twice what was meant once.
    Required,
    /// A rule of the domain or a condition stands in the way of a second effect.
    Optional,
}

/// The name of the command that a request carries, if it has one.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKey(pub(crate) Arc<str>);

/// The commands in hand that have a name, by who asked and the name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running(Arc<Mutex<HashSet<Name>>>);

type Name = (Arc<str>, Arc<str>);

/// A command in hand, until it is dropped.
struct InHand {
    running: Running,
    name: Name,
}

/// Reads the name of the command, and refuses a second one of the same name meanwhile.
pub(crate) async fn idempotent(
    State(policy): State<Key>,
    Extension(running): Extension<Running>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut values = request.headers().get_all(IDEMPOTENCY_KEY).iter();
    let key = match (values.next(), values.next()) {
        (None, _) => None,
        (Some(key), None) => Some(read(key)),
        (Some(_), Some(_)) => Some(Err(refused("is given more than once"))),
    };
    let key: Arc<str> = match (key, policy) {
        (Some(Ok(key)), _) => key.into(),
        (Some(Err(problem)), _) => return problem.into_response(),
        (None, Key::Optional) => return next.run(request).await,
        (None, Key::Required) => {
            let detail = "Sent twice by accident, this command would have effect twice.";
            let problem = Problem::new(Code::IdempotencyKeyMissing, detail);
            return problem.field("Idempotency-Key", "must be given").into_response();
        }
    };
    let actor = request.extensions().get::<Principal>();
    let actor = actor.map_or_else(|| "".into(), Principal::shared_actor);
    let Some(_in_hand) = running.begin((actor, Arc::clone(&key))) else {
        let detail = "The first request with this key is still in hand.";
        return Problem::new(Code::IdempotencyKeyInUse, detail).into_response();
    };
    request.extensions_mut().insert(IdempotencyKey(key));
    next.run(request).await
}

impl Running {
    fn begin(&self, name: Name) -> Option<InHand> {
        let is_first = self.names().insert(name.clone());
        is_first.then(|| InHand { running: self.clone(), name })
    }

    fn names(&self) -> std::sync::MutexGuard<'_, HashSet<Name>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InHand {
    fn drop(&mut self) {
        self.running.names().remove(&self.name);
    }
}

fn read(value: &HeaderValue) -> Result<&str, Problem> {
    let key = value.to_str().ok().filter(|key| {
        (1..=255).contains(&key.len()) && key.bytes().all(|byte| matches!(byte, b' '..=b'~'))
    });
    // The draft writes it as a string of structured fields, in quotes; the same name without them is
    // the same name.
    let bare = |key: &str| {
        let inner = key.strip_prefix('"')?.strip_suffix('"')?;
        (!inner.is_empty() && !inner.contains(['"', '\\'])).then_some(())
    };
    let key = key.map(|key| if bare(key).is_some() { &key[1..key.len() - 1] } else { key });
    key.ok_or_else(|| refused("must be 1 to 255 printable ASCII characters"))
}

fn refused(detail: &str) -> Problem {
    Problem::new(Code::InvalidHeader, "The command cannot be recognised when it comes again.")
        .field("Idempotency-Key", detail)
}
