//! Processes are stopped and started again, and no request fails.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use reqwest::StatusCode;
use reqwest::retry;
use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::{HaProxy, eventually};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::raw::{PATIENCE, Raw, get, post_head};
use crate::support::{Client, Process, Site, free_address};

const CLIENTS: usize = 6;
const ROUNDS: usize = 2;

/// A process with some roles at `address`, with the drain delay that is the default.
fn start(site: &Site, name: &str, roles: &[&str], address: SocketAddr) -> Process {
    let roles = roles.iter().flat_map(|role| ["--role", role]);
    let arguments: Vec<_> = std::iter::once("serve").chain(roles).collect();
    let mut command = site.command(&arguments);
    command
        .env_remove("ANNALS_HTTP__DRAIN_DELAY_MS")
        .env("ANNALS_HTTP__TRUSTED_PROXIES", "127.0.0.1");
    Process::spawn(name, command, address)
}

/// The example as it is, with the ports of this test.
fn configuration(port: u16, servers: [SocketAddr; 2]) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/haproxy.cfg");
    let example = fs::read_to_string(file).unwrap();
    let ours = [
        ("127.0.0.1:8000", format!("127.0.0.1:{port}")),
        ("127.0.0.1:8080", servers[0].to_string()),
        ("127.0.0.1:8081", servers[1].to_string()),
    ];
    ours.iter().fold(example, |text, (theirs, ours)| {
        assert_eq!(text.matches(theirs).count(), 1, "{theirs} is in the example once");
        text.replace(theirs, ours)
    })
}

/// What was answered.
#[derive(Debug, Default)]
struct Tally {
    read: usize,
    placed: usize,
    failed: Vec<String>,
}

/// Reads and writes on connections that stay open, until `enough`.
async fn ask(base: String, product: String, client: usize, enough: CancellationToken) -> Tally {
    // A request that fails has failed: nothing is sent twice.
    let http = reqwest::Client::builder().timeout(PATIENCE).retry(retry::never()).build().unwrap();
    let lines = json!({ "lines": [{ "product_id": product, "quantity": 1 }] });
    let mut tally = Tally::default();
    let mut number = 0;
    while !enough.is_cancelled() {
        let is_write = number % 2 == 0;
        let request = if is_write {
            http.post(format!("{base}/v1/orders"))
                .header("Idempotency-Key", format!("{client} {number}"))
                .json(&lines)
        } else {
            http.get(format!("{base}/v1/products/{product}"))
        };
        match request.send().await {
            Ok(answer) if answer.status() == StatusCode::CREATED => tally.placed += 1,
            Ok(answer) if answer.status() == StatusCode::OK => tally.read += 1,
            Ok(answer) => {
                tally.failed.push(format!("{} {:?}", answer.status(), answer.text().await));
            }
            Err(error) => tally.failed.push(format!("{error:?}")),
        }
        number += 1;
        // Load, and not a contest for the processors with the health checks.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    tally
}

/// Waits until a process is sent requests by the proxy.
async fn is_asked(process: &Process) {
    let client = Client::new(process.url(""));
    eventually(PATIENCE, "the proxy to send requests", async || {
        let metrics = client.text("/metrics").await;
        let is_asked = metrics.lines().any(|line| line.starts_with("annals_http_requests_total{"));
        if is_asked { Ok(()) } else { Err("none yet") }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_behind_a_proxy_are_replaced_without_a_failed_request() {
    let site = Site::new().await;
    let mut projector = site.serve("draining-projector", &["projector"]);
    projector.ready().await;
    let addresses = [free_address(), free_address()];
    let mut processes = addresses.map(|address| start(&site, "draining", &["api"], address));
    for process in &mut processes {
        process.ready().await;
    }
    let haproxy = tokio::task::block_in_place(|| {
        HaProxy::start_ephemeral_with(|port| configuration(port, addresses))
    })
    .unwrap();
    let base = format!("http://127.0.0.1:{}", haproxy.port());
    let client = Client::new(base.clone());
    let product = client.list_product("MUG", 1_000_000).await;
    eventually(PATIENCE, "the product to be there", async || {
        let (status, _) = client.get(&format!("/v1/products/{product}")).await;
        if status == StatusCode::OK { Ok(()) } else { Err(status) }
    })
    .await;

    let enough = CancellationToken::new();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        clients.spawn(ask(base.clone(), product.clone(), client, enough.clone()));
    }
    for _ in 0..ROUNDS {
        for (process, address) in processes.iter_mut().zip(addresses) {
            is_asked(process).await;
            process.signal(Signal::TERM);
            assert!(process.ended(PATIENCE).await.success(), "{}", process.output());
            *process = start(&site, "draining", &["api"], address);
            process.ready().await;
            is_asked(process).await;
        }
    }
    enough.cancel();
    let mut all = Tally::default();
    for tally in clients.join_all().await {
        all.read += tally.read;
        all.placed += tally.placed;
        all.failed.extend(tally.failed);
    }
    assert!(all.failed.is_empty(), "{} failed: {:#?}", all.failed.len(), all.failed);
    assert!(all.read > 100 && all.placed > 100, "that was no load: {all:?}");
    let query = "SELECT count(*) FROM eventstore.events WHERE type = 'ordering.order-placed'";
    let placed: i64 = sqlx::query_scalar(query).fetch_one(&site.database.pool()).await.unwrap();
    assert_eq!(usize::try_from(placed).unwrap(), all.placed, "each had its one effect");

    // Nor did the proxy have to try any of them again, or elsewhere.
    let log = fs::read_to_string(haproxy.log()).unwrap();
    let tried: Vec<_> = log.lines().filter_map(|line| Some((line, connections(line)?))).collect();
    assert!(tried.len() >= all.read + all.placed, "each request has a line: {}", tried.len());
    let again: Vec<_> = tried.iter().filter(|(_, counts)| !counts.ends_with("/0")).collect();
    assert!(again.is_empty(), "{again:#?}");
}

/// What a line of HAProxy's log says of connections, `actconn/feconn/beconn/srv_conn/retries`: the
/// second of the two with five numbers.
fn connections(line: &str) -> Option<&str> {
    line.split(' ').filter(|word| word.matches('/').count() == 4).nth(1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_drains_says_so_and_serves_on() {
    let site = Site::new().await;
    let mut process = start(&site, "draining-alone", &["api", "projector"], free_address());
    process.ready().await;
    let client = Client::new(process.url(""));
    let product = client.list_product("MUG", 10).await;
    let mut kept = Raw::connect(process.address).await;
    assert!(kept.send(&get("/livez")).await);
    assert_eq!(kept.answer().await.0, 200);
    let stream = TcpStream::connect(process.address).await.unwrap();
    let (mut http2, connection) =
        http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let http2_connection = tokio::spawn(connection);
    let request = hyper::Request::get(process.url("/livez")).body(Empty::new()).unwrap();
    assert_eq!(http2.send_request(request).await.unwrap().status(), 200);

    process.signal(Signal::TERM);
    let readiness = eventually(PATIENCE, "the process to say that it drains", async || {
        let (status, readiness) = client.get("/readyz").await;
        if status == StatusCode::SERVICE_UNAVAILABLE { Ok(readiness) } else { Err(readiness) }
    })
    .await;
    assert_eq!(readiness, json!({ "ready": false, "draining": true, "parts": [] }));

    // What a proxy still sends is answered, also what waits for its read model.
    let ordered = client
        .post("/v1/orders", "last", &json!({ "lines": [{ "product_id": product, "quantity": 1 }] }))
        .await;
    assert_eq!(ordered.status(), StatusCode::CREATED);
    assert_eq!(ordered.headers()["connection"], "close");
    let position = ordered.headers()["annals-position"].clone();
    let order: Value = ordered.json().await.unwrap();
    let address = process.url(&format!("/v1/orders/{}", order["id"].as_str().unwrap()));
    let asked = reqwest::Client::new().get(address).header("Annals-Min-Position", position);
    assert_eq!(asked.send().await.unwrap().status(), StatusCode::OK);

    // A connection that rested is not cut, but told to end with its next answer.
    assert!(kept.send(&get("/v1/products")).await);
    let (status, head, _) = kept.answer().await;
    assert!(status == 200 && head.contains("\r\nconnection: close"), "{head}");
    assert_eq!(kept.rest().await, "");
    // HTTP/2 is told at once, and ends in peace.
    http2_connection.await.unwrap().unwrap();
    assert_eq!(client.get("/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE, "still there");
    assert!(process.ended(PATIENCE).await.success(), "{}", process.output());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_flight_when_the_listener_closes_is_answered() {
    let site = Site::new().await;
    let mut process = site.serve("draining-in-flight", &["api"]);
    process.ready().await;
    let body = json!({ "sku": "MUG", "name": "Mug", "price": { "amount": 1, "currency": "EUR" }, "stock": 1 }).to_string();
    let (begun, rest) = body.as_bytes().split_at(10);
    let mut request = Raw::connect(process.address).await;
    assert!(request.send(&post_head("/v1/products", body.len())).await);
    assert!(request.send(begun).await);
    // It has arrived when one that was sent later is answered.
    let mut other = Raw::connect(process.address).await;
    assert!(other.send(&get("/livez")).await);
    assert_eq!(other.answer().await.0, 200);
    process.signal(Signal::TERM);
    eventually(PATIENCE, "the listener to close", async || {
        TcpStream::connect(process.address).await.map_or(Ok(()), |_| Err("it lets in"))
    })
    .await;
    assert!(request.send(rest).await);
    let (status, head, body) = request.answer().await;
    assert_eq!(status, 201, "{head}\n{body}");
    assert!(head.contains("\r\nconnection: close"), "{head}");
    assert!(process.ended(PATIENCE).await.success(), "{}", process.output());
}
