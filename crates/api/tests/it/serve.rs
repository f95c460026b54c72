//! The server on a real socket, with routes of a test.

use std::future::ready;
use std::net::SocketAddr;
use std::time::Duration;

use api::forwarded::{ClientAddress, Header, Scheme, TrustedProxies};
use api::serve::{Drain, DrainTimes, Limits, Server};
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use axum::routing::get;
use axum::{Extension, Router};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_mins(1);

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

async fn run(router: Router, proxies: TrustedProxies, drain: Drain) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits {
        connections: 100,
        header_timeout: PATIENCE,
        keep_alive: PATIENCE,
        write_timeout: PATIENCE,
    };
    let server = Server { listener, router, limits, tls: None, proxies, drain };
    let stop = CancellationToken::new();
    let times = DrainTimes { delay: Duration::ZERO, limit: PATIENCE };
    let server = tokio::spawn(server.run(times, stop.clone()));
    Running { address, stop, server }
}

impl Running {
    /// All that is answered to `request`, which has to ask for the connection to end.
    async fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn stopped(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.server).await.expect("the server to end").unwrap();
    }
}

#[tokio::test]
async fn every_request_knows_who_asks() {
    let told =
        |Extension(ClientAddress(client)): Extension<ClientAddress>,
         Extension(scheme): Extension<Scheme>| async move { format!("{client} {scheme:?}") };
    let router = || Router::new().route("/", get(told));
    let asked = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n\r\n";
    let alone = run(router(), TrustedProxies::default(), Drain::default()).await;
    let answer = alone.ask(asked).await;
    assert!(answer.ends_with("\r\n127.0.0.1 Http"), "{answer}");
    alone.stopped().await;
    let proxies = TrustedProxies::new(["127.0.0.0/8"], Header::XForwarded).unwrap();
    let behind = run(router(), proxies, Drain::default()).await;
    let answer = behind.ask(asked).await;
    assert!(answer.ends_with("\r\n192.0.2.1 Https"), "{answer}");
    behind.stopped().await;
}

/// Says so on the connection itself when the listener closes, as a WebSocket would.
fn upgrade(drain: Drain, mut request: Request<Body>) -> Response<Body> {
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(&mut request).await.unwrap();
        let mut io = TokioIo::new(upgraded);
        let mut line = [0; 5];
        io.read_exact(&mut line).await.unwrap();
        io.write_all(&line).await.unwrap();
        drain.closing().cancelled().await;
        io.write_all(b"bye").await.unwrap();
        io.shutdown().await.unwrap();
    });
    Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(header::CONNECTION, "upgrade")
        .header(header::UPGRADE, "echo")
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn what_was_upgraded_is_told_of_the_end_and_waited_for() {
    let drain = Drain::default();
    let shared = drain.clone();
    let router = Router::new().route("/", get(move |request| ready(upgrade(shared, request))));
    let running = run(router, TrustedProxies::default(), drain.clone()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    let asked =
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello";
    stream.write_all(asked.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"hello") {
        assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "an echo");
    }
    assert!(!drain.is_draining());
    running.stop.cancel();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest, "bye");
    assert!(drain.is_draining() && drain.closing().is_cancelled());
    drop(stream);
    running.stopped().await;
}
