//! Where spans wait that have ended. Whoever ends one never waits: when the queue is full it is dropped.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use tokio::sync::mpsc::{self, Receiver};

use super::metrics::{Dropped, SpanMetrics};

/// Most spans that wait: some megabytes.
const ROOM: usize = 4_096;

/// The way into the queue.
#[derive(Debug)]
pub(super) struct Queue {
    ended: mpsc::Sender<SpanData>,
    metrics: SpanMetrics,
}

/// A queue, and the end where spans come out.
pub(super) fn queue(metrics: SpanMetrics) -> (Queue, Receiver<SpanData>) {
    let (ended, spans) = mpsc::channel(ROOM);
    (Queue { ended, metrics }, spans)
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.ended.try_send(span).is_err() {
            self.metrics.drop(Dropped::QueueFull, 1);
        }
    }

    /// Never asked for: the sender is told to end instead.
    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}
