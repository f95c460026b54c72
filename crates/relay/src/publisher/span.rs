//! The publishing of a message as a span, from when it is sent until the broker says that it is stored.

use eventstore::trace::{self, BoxedSpan, Parent};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status};

use crate::cloud_event::{Outgoing, Traced};

/// The span of a message that is on its way. Dropped before it is confirmed, it is an error.
pub(super) struct PublishSpan {
    span: BoxedSpan,
    traceparent: String,
    is_confirmed: bool,
}

impl PublishSpan {
    /// Begins under the event that `message` tells of, if its trace is recorded.
    pub(super) fn begin(message: &Outgoing) -> Option<Self> {
        let traced = message.traced.as_ref()?;
        let span = SpanBuilder::from_name("publish").with_kind(SpanKind::Producer);
        let mut span = trace::child("relay", Some(&traced.cause), Parent::Elsewhere, span)?;
        describe(&mut span, message, traced);
        let traceparent = trace::traceparent(&span);
        Some(Self { span, traceparent, is_confirmed: false })
    }

    /// What a subscriber hangs its spans under.
    pub(super) fn traceparent(&self) -> &str {
        &self.traceparent
    }

    /// The broker has stored it at `sequence`.
    pub(super) fn confirmed(mut self, sequence: u64) {
        let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
        self.span.set_attribute(KeyValue::new("messaging.nats.stream.sequence", sequence));
        self.is_confirmed = true;
    }
}

impl Drop for PublishSpan {
    fn drop(&mut self) {
        if !self.is_confirmed {
            self.span.set_attribute(KeyValue::new("error.type", "unconfirmed"));
            self.span.set_status(Status::error("no answer of the broker: it is asked what it has"));
        }
        self.span.end();
    }
}

fn describe(span: &mut BoxedSpan, message: &Outgoing, traced: &Traced) {
    let Outgoing { id, place, subject, body, .. } = message;
    let bytes = i64::try_from(body.len()).unwrap_or(i64::MAX);
    span.update_name(format!("publish {subject}"));
    span.set_attributes([
        KeyValue::new("messaging.system", "nats"),
        KeyValue::new("messaging.operation.name", "publish"),
        KeyValue::new("messaging.operation.type", "send"),
        KeyValue::new("messaging.destination.name", subject.clone()),
        KeyValue::new("messaging.message.id", id.to_string()),
        KeyValue::new("messaging.message.body.size", bytes),
        KeyValue::new("event.position", place.position().get()),
        trace::lag(traced.recorded_at),
    ]);
}
