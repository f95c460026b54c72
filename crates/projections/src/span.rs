//! The taking effect of events as spans: one for each event whose trace is recorded, under what it was
//! recorded in. Events of a batch share its times.
//!
//! They are made when the batch has committed: what is tried again and again is no flood of spans.

use std::time::SystemTime;

use eventstore::RecordedEvent;
use eventstore::trace::{self, BoxedSpan, Parent};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind};

use crate::Projection;
use crate::batch::Item;

/// A batch that takes effect, if any event of it is followed.
#[derive(Default)]
pub(crate) struct Applying(Option<Begun>);

struct Begun {
    projection: &'static Projection,
    at: SystemTime,
    events: usize,
}

impl Applying {
    pub(crate) fn begin(projection: &'static Projection, items: &[Item<'_>]) -> Self {
        let is_followed = |item: &Item<'_>| trace::is_sampled(cause(item.recorded));
        let begun = || Begun { projection, at: SystemTime::now(), events: items.len() };
        Self(items.iter().any(is_followed).then(begun))
    }

    /// It has committed, and so have `applied`.
    pub(crate) fn end<'a>(self, applied: impl Iterator<Item = &'a Item<'a>>) {
        let Some(begun) = self.0 else { return };
        for Item { recorded, .. } in applied {
            let span = SpanBuilder::from_name("apply")
                .with_kind(SpanKind::Internal)
                .with_start_time(begun.at);
            let span = trace::child("projections", cause(recorded), Parent::Elsewhere, span);
            if let Some(mut span) = span {
                describe(&mut span, &begun, recorded);
                span.end();
            }
        }
    }
}

fn cause(recorded: &RecordedEvent) -> Option<&str> {
    recorded.metadata.trace.as_deref()
}

fn describe(span: &mut BoxedSpan, begun: &Begun, recorded: &RecordedEvent) {
    let name = begun.projection.name;
    span.update_name(format!("apply {name}"));
    span.set_attributes([
        KeyValue::new("projection.name", name),
        KeyValue::new("event.type", recorded.event_type.to_string()),
        KeyValue::new("event.position", recorded.position.get()),
        KeyValue::new("stream.id", recorded.stream.to_string()),
        KeyValue::new("batch.events", i64::try_from(begun.events).unwrap_or(i64::MAX)),
        trace::lag(recorded.recorded_at),
    ]);
}
