//! A request as the first span of this service, under what the client says it is part of.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode};
use eventstore::trace::{self, BoxedSpan, Parent};
use opentelemetry::trace::{
    Span as _, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt as _,
};
use opentelemetry::{Context, KeyValue};

use crate::forwarded::Scheme;
use crate::layers::RequestId;

/// The `traceparent` of the span of a request, for what the request causes.
#[derive(Debug, Clone)]
pub(crate) struct Traceparent(pub(crate) String);

/// The span of a request, if it is recorded. Dropped before its end, the client has gone.
pub(crate) struct ServerSpan(Option<BoxedSpan>);

impl ServerSpan {
    /// Begins; what handles `request` finds its [`Traceparent`] in the extensions.
    ///
    /// `route` is the template, if there is one, and `method` one of few.
    pub(crate) fn begin(request: &mut Request, method: &'static str, route: Option<&str>) -> Self {
        let caller = caller(request.headers());
        let context = caller.map(|caller| Context::new().with_remote_span_context(caller));
        // What it is called and holds is said only if it is recorded: of most requests it is not.
        let span = SpanBuilder::from_name("HTTP").with_kind(SpanKind::Server);
        let mut span = trace::begin("api", &context.unwrap_or_default(), span);
        if let Some(span) = &mut span {
            describe(span, request, method, route);
            request.extensions_mut().insert(Traceparent(trace::traceparent(span)));
        }
        Self(span)
    }

    /// The id of the trace, for the log.
    pub(crate) fn trace_id(&self) -> Option<String> {
        self.0.as_ref().map(|span| span.span_context().trace_id().to_string())
    }

    /// It was answered.
    pub(crate) fn end(mut self, status: StatusCode, problem: Option<&'static str>) {
        let Some(mut span) = self.0.take() else { return };
        span.set_attribute(KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
        if let Some(code) = problem {
            span.set_attribute(KeyValue::new("problem.code", code));
        }
        if status.is_server_error() {
            span.set_attribute(KeyValue::new("error.type", status.as_str().to_owned()));
            span.set_status(Status::error(problem.unwrap_or_default()));
        }
        span.end();
    }
}

impl Drop for ServerSpan {
    fn drop(&mut self) {
        if let Some(span) = &mut self.0 {
            span.set_attribute(KeyValue::new("error.type", "cancelled"));
            span.end();
        }
    }
}

/// What the client says the request is part of.
fn caller(headers: &HeaderMap) -> Option<SpanContext> {
    let header = |name| headers.get(name)?.to_str().ok();
    let caller = trace::read(header("traceparent")?, Parent::Elsewhere)?;
    let Some(state) = header("tracestate").and_then(|state| state.parse().ok()) else {
        return Some(caller);
    };
    let (trace, span, flags) = (caller.trace_id(), caller.span_id(), caller.trace_flags());
    Some(SpanContext::new(trace, span, flags, true, state))
}

/// Without the query, which may hold what is private.
fn describe(span: &mut BoxedSpan, request: &Request, method: &'static str, route: Option<&str>) {
    // As the conventions call a method that is none of the known ones.
    let (name, method) = if method == "other" { ("HTTP", "_OTHER") } else { (method, method) };
    span.update_name(route.map_or_else(|| name.to_owned(), |route| format!("{name} {route}")));
    span.set_attribute(KeyValue::new("http.request.method", method));
    let scheme = match request.extensions().get() {
        Some(Scheme::Https) => "https",
        Some(Scheme::Http) | None => "http",
    };
    span.set_attribute(KeyValue::new("url.scheme", scheme));
    span.set_attribute(KeyValue::new("url.path", request.uri().path().to_owned()));
    if let Some(route) = route {
        span.set_attribute(KeyValue::new("http.route", route.to_owned()));
    }
    if let Some(RequestId(id)) = request.extensions().get() {
        span.set_attribute(KeyValue::new("request.id", id.to_string()));
    }
}
