//! The handling of messages as spans: one for each message whose trace is recorded, under its
//! publishing. Messages that are handled together share the times.

use std::borrow::Cow;

use eventstore::trace::{self, BoxedSpan, Parent};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status};

use super::ConsumerConfig;
use super::worker::Failure;
use crate::IncomingMessage;

/// Messages on their way through the handler, and the spans of those that are followed.
pub(super) struct Processing<'a> {
    messages: Vec<Cow<'a, IncomingMessage>>,
    spans: Vec<BoxedSpan>,
}

impl<'a> Processing<'a> {
    /// Begins. What follows from a message that is followed hangs under its span.
    pub(super) fn begin(config: &ConsumerConfig, messages: Vec<&'a IncomingMessage>) -> Self {
        let (count, mut spans) = (messages.len(), Vec::new());
        let messages = messages.into_iter().map(|message| {
            let span = SpanBuilder::from_name("process").with_kind(SpanKind::Consumer);
            let cause = message.trace.as_deref();
            let Some(mut span) = trace::child("relay", cause, Parent::Elsewhere, span) else {
                return Cow::Borrowed(message);
            };
            describe(&mut span, config, message, count);
            let trace = Some(trace::traceparent(&span));
            spans.push(span);
            Cow::Owned(IncomingMessage { trace, ..message.clone() })
        });
        Self { messages: messages.collect(), spans }
    }

    /// What the handler is given.
    pub(super) fn messages(&self) -> Vec<&IncomingMessage> {
        self.messages.iter().map(AsRef::as_ref).collect()
    }

    pub(super) fn end(self, took: &Result<(), Failure>) {
        for mut span in self.spans {
            if let Err(failure) = took {
                span.set_attribute(KeyValue::new("error.type", failure.kind()));
                // A conflict is tried again at once.
                if !matches!(failure, Failure::Conflict) {
                    span.set_status(Status::error(failure.kind()));
                }
            }
            span.end();
        }
    }
}

fn describe(
    span: &mut BoxedSpan,
    config: &ConsumerConfig,
    message: &IncomingMessage,
    count: usize,
) {
    let subject = config.namespace.subject(&message.message_type.to_string());
    span.update_name(format!("process {subject}"));
    span.set_attributes([
        KeyValue::new("messaging.system", "nats"),
        KeyValue::new("messaging.operation.name", "process"),
        KeyValue::new("messaging.operation.type", "process"),
        KeyValue::new("messaging.destination.name", subject),
        KeyValue::new("messaging.consumer.group.name", config.name.clone()),
        KeyValue::new("messaging.message.id", message.id.to_string()),
        KeyValue::new("messaging.batch.message_count", i64::try_from(count).unwrap_or(i64::MAX)),
        KeyValue::new("event.position", message.position.get()),
        trace::lag(message.time),
    ]);
}
