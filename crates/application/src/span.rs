//! A command as a span: from the first look at its streams to its receipt. Its appends hang under it.

use std::borrow::Cow;
use std::sync::atomic::{AtomicI64, Ordering};

use eventstore::trace::{self, BoxedSpan, Parent};
use eventstore::{Receipt, aggregate};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status};

use crate::CommandError;
use crate::command::Command;

/// The span of a command, if its trace is recorded.
pub(crate) struct CommandSpan(Option<(BoxedSpan, AtomicI64)>);

impl CommandSpan {
    /// Begins under what the command says it was caused by; answers with what to give on, so that
    /// what follows hangs under it.
    pub(crate) fn begin(command: &Command) -> (Self, Cow<'_, aggregate::Command>) {
        let mut given = Cow::Borrowed(&command.given);
        let cause = given.metadata.trace.as_deref();
        let span = SpanBuilder::from_name(name(command)).with_kind(SpanKind::Internal);
        let mut span = trace::child("application", cause, Parent::Here, span);
        if let Some(span) = &mut span {
            describe(span, command);
            given.to_mut().metadata.trace = Some(trace::traceparent(span));
        }
        (Self(span.map(|span| (span, AtomicI64::new(0)))), given)
    }

    /// It is decided, maybe not for the first time.
    pub(crate) fn decides(&self) {
        if let Some((_, decisions)) = &self.0 {
            decisions.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn end(self, outcome: &Result<Receipt, CommandError>) {
        let Some((mut span, decisions)) = self.0 else { return };
        span.set_attribute(KeyValue::new("command.decisions", decisions.into_inner()));
        let (told, is_trouble) = match outcome {
            Ok(receipt) if receipt.repeated => ("repeated", false),
            Ok(_) => ("appended", false),
            Err(CommandError::Rejected(_)) => ("rejected", false),
            Err(CommandError::Contended { .. }) => ("contended", false),
            // The span of the append says what became of it.
            Err(CommandError::Append(_)) => ("not-appended", false),
            Err(_) => ("failed", true),
        };
        span.set_attribute(KeyValue::new("command.outcome", told));
        if is_trouble {
            span.set_attribute(KeyValue::new("error.type", told));
            span.set_status(Status::error(told));
        }
        span.end();
    }
}

fn name(command: &Command) -> &'static str {
    command.decisions.first().map_or("command", |decision| decision.name())
}

fn describe(span: &mut BoxedSpan, command: &Command) {
    let streams = command.decisions.iter().flat_map(|decision| decision.streams());
    let mut categories: Vec<_> = streams.map(|stream| stream.category().to_owned()).collect();
    categories.sort_unstable();
    categories.dedup();
    span.set_attributes([
        KeyValue::new("command.name", name(command)),
        KeyValue::new("command.id", command.given.id.to_string()),
        KeyValue::new("correlation.id", command.given.metadata.correlation_id.to_string()),
        KeyValue::new("stream.categories", categories.join(",")),
    ]);
}
