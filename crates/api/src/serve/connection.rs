//! One connection, from its handshake to its end.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, interval_at, sleep, timeout};
use tower::ServiceExt as _;

use super::activity::{Activity, Answer, Verdict, Watch};
use super::socket::{Place, Socket};
use super::{Drain, Limits, Tls};
use crate::forwarded::{Scheme, TrustedProxies};

/// Most bytes of a request's head, in memory once for each connection. What is longer is answered
/// 431; so are more than 100 headers, the limit that hyper has built in.
const HEAD_BYTES: usize = 32 * 1024;

/// Most requests at once on a connection of HTTP/2.
const STREAMS: u32 = 100;

/// Most bytes of bodies that a connection of HTTP/2 holds for handlers that have not read them.
const WINDOW_BYTES: u32 = 256 * 1024;

/// Most bytes of an answer that a connection of HTTP/2 holds for a client that has not taken them.
const SEND_BYTES: usize = 64 * 1024;

/// How often a connection of HTTP/2 is asked whether somebody is there, and for how long.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(10);

/// How long a client that has connected and not yet asked may do so when the listener closes: its
/// request may be on its way.
const LATE: Duration = Duration::from_secs(1);

/// What all connections have in common.
pub(super) struct Shared {
    pub(super) router: Router,
    pub(super) limits: Limits,
    pub(super) tls: Option<Tls>,
    pub(super) proxies: TrustedProxies,
    pub(super) drain: Drain,
    pub(super) builder: auto::Builder<TokioExecutor>,
}

/// What is spoken on each connection: HTTP/1.1 or HTTP/2, as the client begins.
pub(super) fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // Time to ask is kept by `Watch`, which also knows the time before the first byte and between
    // requests.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(u32::try_from(HEAD_BYTES).unwrap_or(u32::MAX))
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .max_send_buf_size(SEND_BYTES)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PONG);
    builder
}

/// Serves one connection to its end.
pub(super) async fn serve(shared: Arc<Shared>, stream: TcpStream, peer: SocketAddr, place: Place) {
    let activity = Arc::new(Activity::default());
    let socket = Socket::new(stream, Arc::clone(&activity), shared.limits.write_timeout, place);
    let Some(tls) = &shared.tls else {
        return serve_http(shared, socket, activity, peer, Scheme::Http).await;
    };
    match timeout(shared.limits.header_timeout, tls.acceptor().accept(socket)).await {
        Ok(Ok(stream)) => serve_http(shared, stream, activity, peer, Scheme::Https).await,
        Ok(Err(error)) => tracing::debug!(%error, "TLS handshake failed"),
        Err(_) => tracing::debug!("TLS handshake took too long"),
    }
}

async fn serve_http(
    shared: Arc<Shared>,
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    activity: Arc<Activity>,
    peer: SocketAddr,
    scheme: Scheme,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let (shared, activity) = (Arc::clone(&shared), Arc::clone(&activity));
        async move { Ok::<_, axum::Error>(answer(&shared, &activity, peer, scheme, request).await) }
    });
    let connection = shared.builder.serve_connection_with_upgrades(TokioIo::new(io), service);
    let mut connection = pin!(connection);
    let interval = Watch::interval(&shared.limits);
    let mut looks = interval_at(Instant::now() + interval, interval);
    let mut watch = Watch::new(shared.limits);
    let mut draining = pin!(draining_http2(&shared.drain, &activity));
    let mut closing = pin!(closing(&shared.drain, &activity));
    let (mut is_draining, mut is_closing, mut is_ending) = (false, false, false);
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(error, "connection ended");
                }
                return;
            }
            () = draining.as_mut(), if !is_draining => {
                is_draining = true;
                connection.as_mut().graceful_shutdown();
            }
            () = closing.as_mut(), if !is_closing => {
                is_closing = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = looks.tick() => match watch.look(&activity) {
                Verdict::Keep => {}
                Verdict::Idle if !is_ending => {
                    is_ending = true;
                    connection.as_mut().graceful_shutdown();
                }
                Verdict::Idle | Verdict::Stuck => {
                    tracing::debug!("connection closed: the client takes too long");
                    return;
                }
            },
        }
    }
}

/// Resolves when the client is to be told that no more requests are taken, which HTTP/2 can say
/// without losing one. HTTP/1.1 says it with an answer ([`answer`]); a connection that rests must
/// not be closed while a proxy may just be sending the next request on it.
async fn draining_http2(drain: &Drain, activity: &Activity) {
    drain.draining().await;
    activity.speaks_http2().await;
}

/// Resolves when the connection is to end as soon as nothing is in flight on it.
async fn closing(drain: &Drain, activity: &Activity) {
    drain.closing().cancelled().await;
    if activity.is_expecting() {
        sleep(LATE).await;
    }
}

async fn answer(
    shared: &Shared,
    activity: &Arc<Activity>,
    peer: SocketAddr,
    scheme: Scheme,
    request: Request<Incoming>,
) -> Response<Answer> {
    let version = request.version();
    let in_flight = activity.begin(version);
    let (mut head, body) = request.into_parts();
    shared.proxies.tell(peer.ip(), scheme, &head.headers, &mut head.extensions);
    let request = Request::from_parts(head, Body::new(body));
    let mut response = match shared.router.clone().oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if version < Version::HTTP_2 && !is_upgrade && shared.drain.is_draining() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.map(|body| in_flight.answered(body))
}
