//! What every request passes, whatever it asks for.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use application::ports::IdSource;
use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;
use uuid::Uuid;

use crate::metrics::HttpMetrics;
use crate::origin::RequestId;
use crate::problem::{Cause, Code, Problem, ProblemCode};
use crate::trace::ServerSpan;

/// How much a request may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most bytes of a body.
    pub body_bytes: usize,
    /// Longest time to an answer.
    pub deadline: Duration,
}

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Puts the layers around `routes`; the last one added is the first a request meets.
pub(crate) fn wrap(
    routes: Router,
    ids: Arc<dyn IdSource>,
    metrics: &HttpMetrics,
    limits: Limits,
) -> Router {
    routes
        .fallback(async || {
            Problem::new(Code::NotFound, "No route of this service has this address.")
        })
        .method_not_allowed_fallback(async |method: Method| {
            Problem::new(Code::MethodNotAllowed, format!("{method} is not possible here."))
        })
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(from_fn_with_state(limits.deadline, deadline))
        .layer(CatchPanicLayer::custom(|_| {
            Problem::new(Code::Internal, "The request could not be handled.").into_response()
        }))
        .layer(from_fn(only_this_machine))
        .layer(from_fn_with_state(metrics.clone(), observe))
        .layer(from_fn_with_state(ids, request_id))
}

/// Gives the request an id, the client's if it is a UUID, and tells it in the response.
async fn request_id(
    State(ids): State<Arc<dyn IdSource>>,
    mut request: Request,
    next: Next,
) -> Response {
    let given = request.headers().get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    let id = given.and_then(|value| Uuid::try_parse(value).ok()).unwrap_or_else(|| ids.next());
    request.extensions_mut().insert(RequestId(id));
    let mut response = next.run(request).await;
    if let Ok(value) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

/// Refuses what a browser was tricked into sending: a page of somebody else's whose name leads to
/// this machine would pass for the same origin. As long as there are no accounts, nothing else
/// stands between such a page and everything.
async fn only_this_machine(request: Request, next: Next) -> Response {
    let named = request.uri().authority().cloned().map(Ok).or_else(|| {
        let host = request.headers().get(header::HOST)?;
        Some(Authority::try_from(host.as_bytes()))
    });
    let here = match &named {
        None => true,
        Some(Ok(authority)) => is_loopback(authority.host()),
        Some(Err(_)) => false,
    };
    if here {
        return next.run(request).await;
    }
    Problem::new(Code::Misdirected, "This service answers to this machine only.").into_response()
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// One span, one log line and two metrics a request.
async fn observe(State(metrics): State<HttpMetrics>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = known(request.method());
    let traced = ServerSpan::begin(&mut request, method, route.as_deref());
    let route = route.unwrap_or_else(|| "unmatched".to_owned());
    let id = request.extensions().get::<RequestId>().map_or(Uuid::nil(), |id| id.0);
    let span = tracing::info_span!("http.request", http.method = method, http.route = route, request.id = %id, trace.id = traced.trace_id());
    let response = next.run(request).instrument(span.clone()).await;
    let elapsed = begun.elapsed();
    let status = response.status();
    metrics.requests.with_label_values(&[method, &route, status.as_str()]).inc();
    metrics.seconds.with_label_values(&[method, &route]).observe(elapsed.as_secs_f64());
    let _entered = span.enter();
    let code = response.extensions().get::<ProblemCode>().map(|code| code.0.entry().code);
    let cause = response.extensions().get::<Cause>().map(chain);
    traced.end(status, code);
    let (status, elapsed_us) = (status.as_u16(), elapsed.as_micros());
    match status {
        ..500 => {
            tracing::info!(http.status = status, problem.code = code, elapsed_us, "request served");
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
    response
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

async fn deadline(State(deadline): State<Duration>, request: Request, next: Next) -> Response {
    let detail = if request.method().is_safe() {
        "Nothing was changed."
    } else {
        "A command may still take effect."
    };
    match tokio::time::timeout(deadline, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(Code::DeadlineExceeded, detail).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use prometheus::Registry;
    use tower::ServiceExt;

    use super::*;

    #[derive(Default)]
    struct Counted(AtomicU64);

    impl IdSource for Counted {
        fn next(&self) -> Uuid {
            Uuid::from_u128(self.0.fetch_add(1, Ordering::Relaxed).into())
        }
    }

    async fn answer(routes: Router, deadline: Duration) -> (Response, String) {
        let metrics = HttpMetrics::register(&Registry::new()).unwrap();
        let limits = Limits { body_bytes: 1_000, deadline };
        let service = wrap(routes, Arc::new(Counted::default()), &metrics, limits);
        let request = Request::get("/").body(Body::empty()).unwrap();
        let mut response = service.oneshot(request).await.unwrap();
        let body = std::mem::take(response.body_mut());
        let text = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().into()).unwrap();
        let status = response.status();
        let counter = metrics.requests.with_label_values(&["GET", "/", status.as_str()]);
        assert_eq!(counter.get(), 1, "counted like any other");
        (response, text)
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_that_tells_nothing_of_it() {
        async fn panics() -> Response {
            panic!("secret")
        }
        let panicking = Router::new().route("/", get(panics));
        let (response, text) = answer(panicking, Duration::from_mins(1)).await;
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        assert!(response.headers().contains_key(X_REQUEST_ID));
        assert!(text.contains(r#""code":"internal""#), "{text}");
        assert!(!text.contains("secret"), "{text}");
    }

    #[test]
    fn only_names_of_this_machine_are_of_this_machine() {
        for here in ["localhost", "LocalHost", "127.0.0.1", "127.1.2.3", "[::1]"] {
            assert!(is_loopback(here), "{here}");
        }
        for elsewhere in
            ["evil.example", "localhost.evil.example", "10.0.0.1", "0.0.0.0", "", "[::]"]
        {
            assert!(!is_loopback(elsewhere), "{elsewhere}");
        }
    }

    #[tokio::test]
    async fn what_never_ends_is_cut_off_at_the_deadline() {
        let endless = Router::new().route("/", get(std::future::pending::<Response>));
        let (response, text) = answer(endless, Duration::from_millis(1)).await;
        assert_eq!(response.status(), 503);
        assert!(text.contains(r#""code":"deadline-exceeded""#), "{text}");
    }
}
