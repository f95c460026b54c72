//! What happens on one connection, and whether it is worth keeping.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::Version;
use http_body::{Frame, SizeHint};
use tokio::sync::Notify;

use super::Limits;

/// What happens on one connection, as its socket and its requests tell it.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Requests that ever began.
    begun: AtomicU64,
    /// Requests that wait for their answer.
    handled: AtomicUsize,
    /// Answers that are on their way.
    answered: AtomicUsize,
    /// Pieces of answers that ever went out.
    sent: AtomicU64,
    /// Whether the client has sent something that no request has come of yet.
    is_receiving: AtomicBool,
    is_http2: AtomicBool,
    http2: Notify,
}

impl Activity {
    /// The client has sent something.
    pub(super) fn received(&self) {
        let is_idle = self.in_flight() == 0 && !self.is_http2.load(Ordering::Relaxed);
        if is_idle && !self.is_receiving.load(Ordering::Relaxed) {
            self.is_receiving.store(true, Ordering::Relaxed);
        }
    }

    /// A request begins; it ends when what is returned is dropped, or the answer that it follows.
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> InFlight {
        if version == Version::HTTP_2 && !self.is_http2.swap(true, Ordering::Relaxed) {
            self.http2.notify_one();
        }
        self.handled.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.is_receiving.store(false, Ordering::Relaxed);
        InFlight { activity: Arc::clone(self), is_answered: false }
    }

    /// Resolves when the connection has turned out to speak HTTP/2.
    pub(super) async fn speaks_http2(&self) {
        self.http2.notified().await;
    }

    /// Whether a request is about to come: none has yet, or one has come in part.
    pub(super) fn is_expecting(&self) -> bool {
        self.begun.load(Ordering::Relaxed) == 0 || self.is_receiving.load(Ordering::Relaxed)
    }

    fn in_flight(&self) -> usize {
        self.handled.load(Ordering::Relaxed) + self.answered.load(Ordering::Relaxed)
    }
}

/// A request in flight.
#[derive(Debug)]
pub(super) struct InFlight {
    activity: Arc<Activity>,
    is_answered: bool,
}

impl InFlight {
    /// The request is answered with `body`.
    pub(super) fn answered(mut self, body: Body) -> Answer {
        self.activity.answered.fetch_add(1, Ordering::Relaxed);
        self.activity.handled.fetch_sub(1, Ordering::Relaxed);
        self.is_answered = true;
        Answer { body, in_flight: self }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let Activity { handled, answered, .. } = &*self.activity;
        let counter = if self.is_answered { answered } else { handled };
        counter.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The body of an answer; its request is in flight until it is dropped.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    in_flight: InFlight,
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if frame.is_ready() {
            self.in_flight.activity.sent.fetch_add(1, Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What to do with a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    /// Nothing has happened for long: it may go, politely.
    Idle,
    /// The client takes too long to ask or to take its answer.
    Stuck,
}

/// Looks at a connection every so often.
///
/// A look costs some loads, and there is one timer for a connection instead of one for each
/// limit; in return a limit is kept to within one interval.
#[derive(Debug)]
pub(super) struct Watch {
    limits: Limits,
    /// Requests begun and pieces sent at the last look.
    moved: (u64, u64),
    is_receiving: bool,
    /// For how long nothing has moved.
    still: Duration,
    /// For how long a request has been on its way in.
    receiving: Duration,
}

impl Watch {
    pub(super) fn new(limits: Limits) -> Self {
        let zero = Duration::ZERO;
        Self { limits, moved: (0, 0), is_receiving: true, still: zero, receiving: zero }
    }

    /// How often to look.
    pub(super) fn interval(limits: &Limits) -> Duration {
        limits.header_timeout.min(limits.keep_alive).min(limits.write_timeout)
    }

    /// Looks; called at each interval.
    pub(super) fn look(&mut self, activity: &Activity) -> Verdict {
        let interval = Self::interval(&self.limits);
        let begun = activity.begun.load(Ordering::Relaxed);
        let moved = (begun, activity.sent.load(Ordering::Relaxed));
        let is_receiving = activity.is_expecting();
        let has_moved = std::mem::replace(&mut self.moved, moved) != moved;
        let was_receiving = std::mem::replace(&mut self.is_receiving, is_receiving);
        self.still = if has_moved { Duration::ZERO } else { self.still + interval };
        let goes_on = is_receiving && was_receiving && !has_moved;
        self.receiving = if goes_on { self.receiving + interval } else { Duration::ZERO };

        if activity.handled.load(Ordering::Relaxed) > 0 {
            // Requests have a deadline of their own.
            self.still = Duration::ZERO;
            return Verdict::Keep;
        }
        let is_answering = activity.answered.load(Ordering::Relaxed) > 0;
        if is_answering && self.still >= self.limits.write_timeout
            || !is_answering && self.receiving >= self.limits.header_timeout
        {
            return Verdict::Stuck;
        }
        if !is_answering && self.still >= self.limits.keep_alive {
            return Verdict::Idle;
        }
        Verdict::Keep
    }
}

#[cfg(test)]
mod tests;
