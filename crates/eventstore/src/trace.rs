//! The W3C trace context that events carry, and the spans that hang under it.
//!
//! [`Metadata::trace`](crate::Metadata::trace) is a `traceparent`: it says which span caused an
//! append. Of a trace that is recorded (whose flag says *sampled*) an append is a span of its own,
//! and its events carry the context of that span, so that whatever follows from them hangs under it.
//! Everything else is passed on as it was given.
//!
//! Only the API of OpenTelemetry is used: a program that sets no tracer provider records nothing and
//! pays for a look at two characters.

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue, global};

pub use opentelemetry::global::BoxedSpan;

/// Where the parent of a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parent {
    /// In this process.
    Here,
    /// Behind a request, an event or a message.
    Elsewhere,
}

/// Whether `trace` is of a trace that is recorded.
#[must_use]
pub fn is_sampled(trace: Option<&str>) -> bool {
    let flags = trace.and_then(|trace| trace.as_bytes().get(53..55));
    flags.is_some_and(|flags| {
        matches!(flags[1], b'1' | b'3' | b'5' | b'7' | b'9' | b'b' | b'd' | b'f')
    })
}

/// Begins `span` under the one that `trace` names; `None` if that trace is not recorded, or nothing is
/// recorded here.
///
/// What costs something to say is better said of the span that this answers with: as a rule there
/// is none.
#[must_use]
pub fn child(
    scope: &'static str,
    trace: Option<&str>,
    parent: Parent,
    span: SpanBuilder,
) -> Option<BoxedSpan> {
    if !is_sampled(trace) {
        return None;
    }
    let context = read(trace?, parent)?;
    begin(scope, &Context::new().with_remote_span_context(context), span)
}

/// Begins `span` under the one of `context`, or as the first of its trace; `None` if it is not
/// recorded. See [`child`].
#[must_use]
pub fn begin(scope: &'static str, context: &Context, span: SpanBuilder) -> Option<BoxedSpan> {
    let span = global::tracer(scope).build_with_context(span, context);
    span.is_recording().then_some(span)
}

/// The context that the `traceparent` names, if it is one of version 00 with ids that are not all
/// zeros.
#[must_use]
pub fn read(traceparent: &str, parent: Parent) -> Option<SpanContext> {
    let mut parts = traceparent.split('-');
    let mut part = |length| {
        let is_hexadecimal = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        parts.next().filter(|part| part.len() == length && part.bytes().all(is_hexadecimal))
    };
    part(2).filter(|version| *version == "00")?;
    let trace = TraceId::from_hex(part(32)?).ok()?;
    let span = SpanId::from_hex(part(16)?).ok()?;
    let flags = TraceFlags::new(u8::from_str_radix(part(2)?, 16).ok()?);
    let is_remote = parent == Parent::Elsewhere;
    let context = SpanContext::new(trace, span, flags, is_remote, TraceState::NONE);
    (parts.next().is_none() && context.is_valid()).then_some(context)
}

/// The `traceparent` of what hangs under `span`.
#[must_use]
pub fn traceparent(span: &BoxedSpan) -> String {
    let context = span.span_context();
    let (trace, span, flags) = (context.trace_id(), context.span_id(), context.trace_flags());
    format!("00-{trace}-{span}-{flags:02x}")
}

/// How many milliseconds ago `recorded_at` was, by the clock of this machine; of PostgreSQL's it may
/// be ahead or behind.
#[must_use]
pub fn lag(recorded_at: DateTime<Utc>) -> KeyValue {
    let passed = SystemTime::now().duration_since(recorded_at.into()).unwrap_or_default();
    KeyValue::new("lag_ms", i64::try_from(passed.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn only_a_valid_traceparent_is_read() {
        let read_here = |given| read(given, Parent::Here);
        let context = read_here(GIVEN).unwrap();
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
        assert!(context.is_sampled() && !context.is_remote());
        assert!(read(GIVEN, Parent::Elsewhere).unwrap().is_remote());
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
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ä",
        ] {
            assert_eq!(read_here(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_last_bit_of_the_flags_says_whether_it_is_recorded() {
        let with_flags = |flags: &str| format!("{}{flags}", &GIVEN[..53]);
        for (flags, sampled) in
            [("00", false), ("01", true), ("02", false), ("03", true), ("ff", true)]
        {
            assert_eq!(is_sampled(Some(&with_flags(flags))), sampled, "{flags}");
        }
        assert!(!is_sampled(None) && !is_sampled(Some("")) && !is_sampled(Some(&GIVEN[..54])));
    }

    #[test]
    fn without_a_tracer_provider_nothing_is_begun() {
        let span = SpanBuilder::from_name("append");
        assert!(child("eventstore", Some(GIVEN), Parent::Here, span).is_none());
    }
}
