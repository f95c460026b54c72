//! An append as a span of the trace that asked for it.
//!
//! It lasts from the queue to the answer. When its batch goes to the database is an event of it, so
//! the time it waited and the time it took are told apart, and how many shared the call.

use std::borrow::Cow;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status};

use super::{Append, AppendError, Receipt};
use crate::trace::{self, BoxedSpan, Parent};

/// The span of an append, if its trace is recorded.
pub(super) struct AppendSpan(Option<BoxedSpan>);

impl AppendSpan {
    /// Begins under what `append` says it was caused by, and has its events carry the new context.
    pub(super) fn begin(append: &mut Append) -> Self {
        let cause = append.metadata.trace.as_deref();
        let span = SpanBuilder::from_name("append").with_kind(SpanKind::Internal);
        let mut span = trace::child("eventstore", cause, Parent::Here, span);
        if let Some(span) = &mut span {
            describe(span, append);
            append.metadata.trace = Some(trace::traceparent(span));
        }
        Self(span)
    }

    /// As [`AppendSpan::begin`], of an append that is the caller's.
    pub(super) fn begin_in(append: &mut Cow<'_, Append>) -> Self {
        if trace::is_sampled(append.metadata.trace.as_deref()) {
            Self::begin(append.to_mut())
        } else {
            Self(None)
        }
    }

    /// It is on its way to the database, with others.
    pub(super) fn sent(&mut self, appends: usize) {
        if let Some(span) = &mut self.0 {
            span.add_event("sent", vec![KeyValue::new("db.operation.batch.size", count(appends))]);
        }
    }

    pub(super) fn end(self, outcome: &Result<Receipt, AppendError>) {
        let Some(mut span) = self.0 else { return };
        match outcome {
            Ok(receipt) => {
                span.set_attribute(KeyValue::new("log.position", receipt.position.get()));
                span.set_attribute(KeyValue::new("command.repeated", receipt.repeated));
            }
            Err(error) => {
                span.set_attribute(KeyValue::new("error.type", kind(error)));
                // To be refused, because others were faster say, is no trouble.
                if is_trouble(error) {
                    span.set_status(Status::error(kind(error)));
                }
            }
        }
        span.end();
    }
}

fn describe(span: &mut BoxedSpan, append: &Append) {
    span.set_attributes([
        KeyValue::new("db.system.name", "postgresql"),
        KeyValue::new("db.operation.name", "append"),
        KeyValue::new("command.id", append.command_id.to_string()),
        KeyValue::new("event.count", count(append.events.len())),
    ]);
    if let Some(first) = append.events.first() {
        span.set_attribute(KeyValue::new("event.type", first.event_type.to_string()));
        span.set_attribute(KeyValue::new("stream.id", first.stream.to_string()));
    }
}

/// Never what the error says: it may quote what is private.
const fn kind(error: &AppendError) -> &'static str {
    match error {
        AppendError::Conflict { .. } => "conflict",
        AppendError::ConditionFailed { .. } => "condition-failed",
        AppendError::ClaimTaken { .. } => "claim-taken",
        AppendError::SubjectErased { .. } => "subject-erased",
        AppendError::OtherBody { .. } => "other-body",
        AppendError::Refused { .. } => "refused",
        AppendError::Unavailable { .. } => "unavailable",
        AppendError::Unconfirmed { .. } => "unconfirmed",
        AppendError::Closed => "closed",
        _ => "invalid",
    }
}

const fn is_trouble(error: &AppendError) -> bool {
    matches!(
        error,
        AppendError::Refused { .. }
            | AppendError::Unavailable { .. }
            | AppendError::Unconfirmed { .. }
            | AppendError::Closed
    )
}

fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}
