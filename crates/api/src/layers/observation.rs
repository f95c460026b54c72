//! One span, one line in the log and two metrics for each request, however it ends.

use std::borrow::Cow;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::RequestId;
use crate::metrics::HttpMetrics;
use crate::problem::{Cause, Code, ProblemCode};
use crate::trace::ServerSpan;

/// The status of a request whose client went away, as proxies write it.
const CLIENT_CLOSED_REQUEST: u16 = 499;

/// A request in hand. Dropped before its end, it is either unwound by a panic or its client is
/// gone.
struct Observed {
    metrics: HttpMetrics,
    method: &'static str,
    route: Cow<'static, str>,
    begun: Instant,
    span: Span,
    /// Until it has ended.
    traced: Option<ServerSpan>,
}

/// Observes the request.
pub(super) async fn observe(
    State(metrics): State<HttpMetrics>,
    mut request: Request,
    next: Next,
) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = known(request.method());
    let traced = ServerSpan::begin(&mut request, method, route.as_deref());
    let route = route.map_or(Cow::Borrowed("unmatched"), Cow::Owned);
    let id = request.extensions().get::<RequestId>().map_or(Uuid::nil(), |id| id.0);
    let span = tracing::info_span!(
        "http.request",
        http.method = method,
        http.route = route.as_ref(),
        request.id = %id,
        trace.id = traced.trace_id()
    );
    let observed =
        Observed { metrics, method, route, begun: Instant::now(), span, traced: Some(traced) };
    let response = next.run(request).instrument(observed.span.clone()).await;
    observed.answered(&response);
    response
}

impl Observed {
    fn answered(mut self, response: &Response) {
        let code = response.extensions().get::<ProblemCode>().map(|code| code.0.entry().code);
        if let Some(traced) = self.traced.take() {
            traced.end(response.status(), code);
        }
        let status = response.status().as_u16();
        self.count(status);
        let _entered = self.span.enter();
        let cause = response.extensions().get::<Cause>().map(chain);
        let elapsed_us = self.elapsed_us();
        match status {
            ..500 => {
                tracing::info!(
                    http.status = status,
                    problem.code = code,
                    elapsed_us,
                    "request served"
                );
            }
            500 => {
                tracing::error!(
                    http.status = status,
                    problem.code = code,
                    cause,
                    elapsed_us,
                    "request failed"
                );
            }
            _ => {
                tracing::warn!(
                    http.status = status,
                    problem.code = code,
                    cause,
                    elapsed_us,
                    "request not served"
                );
            }
        }
    }

    fn count(&self, status: u16) {
        let labels = [self.method, &self.route, &status.to_string()];
        self.metrics.requests.with_label_values(&labels).inc();
        let seconds = self.begun.elapsed().as_secs_f64();
        self.metrics.seconds.with_label_values(&labels[..2]).observe(seconds);
    }

    fn elapsed_us(&self) -> u128 {
        self.begun.elapsed().as_micros()
    }
}

impl Drop for Observed {
    fn drop(&mut self) {
        let Some(traced) = self.traced.take() else { return };
        let elapsed_us = self.elapsed_us();
        if std::thread::panicking() {
            traced.end(StatusCode::INTERNAL_SERVER_ERROR, Some(Code::Internal.entry().code));
            self.count(500);
            let _entered = self.span.enter();
            tracing::error!(http.status = 500, elapsed_us, "request panicked");
        } else {
            self.count(CLIENT_CLOSED_REQUEST);
            let _entered = self.span.enter();
            tracing::info!(
                http.status = CLIENT_CLOSED_REQUEST,
                elapsed_us,
                "request given up by its client"
            );
        }
    }
}

/// The method as a label of few values.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

fn chain(cause: &Cause) -> String {
    let causes = std::iter::successors(cause.0.source(), |error| error.source());
    causes.fold(cause.0.to_string(), |text, error| format!("{text}: {error}"))
}
