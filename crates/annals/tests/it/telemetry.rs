//! Traces, as a real collector has them.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind::{
    self, Consumer, Internal, Producer, Server,
};
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};
use testkit::eventually;

use crate::support::{Client, Process, Receiver, Rotel, Site, Span, free_address};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// What nobody may find in a trace.
const SECRETS: [&str; 5] =
    ["hidden-key", "hidden-query", "hidden-token", "hidden-sku", "hidden-name"];

fn command(site: &Site, endpoint: &str, roles: &[&str], settings: &[(&str, &str)]) -> Command {
    let roles = roles.iter().flat_map(|role| ["--role", role]);
    let arguments: Vec<_> = std::iter::once("serve").chain(roles).collect();
    let mut command = site.command(&arguments);
    command
        .env("ANNALS_TELEMETRY__OTLP_ENDPOINT", endpoint)
        .env("ANNALS_TELEMETRY__OTLP_HEADERS", "authorization=Bearer hidden-token");
    for (name, value) in settings {
        command.env(format!("ANNALS_TELEMETRY__{name}"), value);
    }
    command
}

fn start(site: &Site, endpoint: &str, roles: &[&str], settings: &[(&str, &str)]) -> Process {
    let name = if roles.is_empty() { "traced" } else { roles[0] };
    Process::spawn(name, command(site, endpoint, roles, settings), free_address())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_order_is_followed_from_its_request_to_the_read_model() {
    let receiver = Receiver::start().await;
    let rotel = Rotel::start(&receiver);
    let site = Site::new().await;
    // Of what comes without a decision nothing is recorded; the caller's decision is followed.
    let never = [("SAMPLE_RATIO", "0")];
    let mut processes: Vec<_> = ["api", "relay", "projector", "worker"]
        .iter()
        .map(|role| start(&site, &rotel.endpoint, &[role], &never))
        .collect();
    for process in &mut processes {
        process.ready().await;
    }
    // One command that nobody follows, then three requests of one caller.
    Client::new(processes[0].url("")).list_product("unseen", 5).await;
    let http = reqwest::Client::new();
    let ask = async |key: &str, request: reqwest::RequestBuilder| {
        let traced = request.header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
        let answer = traced.header("Idempotency-Key", key).send().await.unwrap();
        (answer.status(), answer.json::<Value>().await.unwrap())
    };
    let price = json!({ "amount": 250, "currency": "EUR" });
    let body = json!({ "sku": "hidden-sku", "name": "hidden-name", "price": price, "stock": 5 });
    let (status, product) =
        ask("hidden-key 1", http.post(processes[0].url("/v1/products")).json(&body)).await;
    assert_eq!(status, StatusCode::CREATED, "{product}");
    let body = json!({ "lines": [{ "product_id": product["id"], "quantity": 2 }] });
    let order = http.post(processes[0].url("/v1/orders")).json(&body);
    let (status, order) = ask("hidden-key 2", order).await;
    assert_eq!(status, StatusCode::CREATED, "{order}");
    let query = processes[0].url("/v1/orders?limit=1&cursor=hidden-query");
    assert_eq!(ask("hidden-key 3", http.get(query)).await.0, StatusCode::BAD_REQUEST);

    let confirmed = eventually(Duration::from_mins(1), "the confirmed order", async || {
        let spans = receiver.spans();
        let confirmed = |span: &&Span| {
            span.name == "apply orders"
                && span.attributes["event.type"] == "ordering.order-confirmed.v1"
        };
        spans.iter().find(confirmed).cloned().ok_or_else(|| names(&spans))
    })
    .await;
    // The parent of a span may come after it, from another process.
    let placed = format!("{}.ordering.order-placed.v1", site.broker.namespace);
    let made = format!("{}.inventory.reservation-made.v1", site.broker.namespace);
    let told: Vec<(String, SpanKind, &str)> = vec![
        ("POST /v1/orders".to_owned(), Server, "api"),
        ("PlaceOrder".to_owned(), Internal, "api"),
        ("append".to_owned(), Internal, "api"),
        (format!("publish {placed}"), Producer, "relay"),
        (format!("process {placed}"), Consumer, "worker"),
        ("ReserveStock".to_owned(), Internal, "worker"),
        ("append".to_owned(), Internal, "worker"),
        (format!("publish {made}"), Producer, "relay"),
        (format!("process {made}"), Consumer, "worker"),
        ("SettleOrder".to_owned(), Internal, "worker"),
        ("append".to_owned(), Internal, "worker"),
        ("apply orders".to_owned(), Internal, "projector"),
    ];
    let path = eventually(Duration::from_mins(1), "the way to it", async || {
        let spans = receiver.spans();
        let path = path_to(&confirmed, &spans);
        if path[0].parent == CALLER { Ok(path) } else { Err(names(&spans)) }
    })
    .await;
    let seen: Vec<_> = path.iter().map(|span| (span.name.clone(), span.kind)).collect();
    let expected: Vec<_> = told.iter().map(|(name, kind, _)| (name.clone(), *kind)).collect();
    assert_eq!(seen, expected);

    // Each process says who it is, and each role is one.
    let mut instances: BTreeMap<&str, &str> = BTreeMap::new();
    for (span, (_, _, role)) in path.iter().zip(&told) {
        assert_eq!(span.resource["service.name"], "annals");
        let instance = span.resource["service.instance.id"].as_str();
        assert_eq!(*instances.entry(role).or_insert(instance), instance, "{role}");
    }
    assert_eq!(instances.len(), 4);
    let attribute = |at: usize, name: &str| path[at].attributes[name].as_str();
    assert_eq!(attribute(0, "http.route"), "/v1/orders");
    assert_eq!(attribute(0, "http.response.status_code"), "201");
    assert_eq!(attribute(1, "command.decisions"), "1");
    assert_eq!(attribute(3, "messaging.destination.name"), placed);
    assert_eq!(attribute(4, "messaging.consumer.group.name"), "inventory");
    assert!(path.iter().all(|span| !span.is_error));
    for at in [3, 4, 7, 8, 11] {
        attribute(at, "lag_ms").parse::<u64>().unwrap();
    }

    let spans = eventually(Duration::from_mins(1), "the other request", async || {
        let spans = receiver.spans();
        let listed = |span: &Span| span.name == "GET /v1/orders";
        if spans.iter().any(listed) { Ok(spans) } else { Err(names(&spans)) }
    })
    .await;
    let verified = site.run(&["relay", "verify"]).ok();
    assert!(verified.contains("no gap, no duplicate, no reorder"), "{verified}");

    // Nothing else was recorded, and nothing private.
    for span in &spans {
        assert_eq!(span.trace, TRACE, "{span:?}");
        for secret in SECRETS.into_iter().chain([site.url.as_str()]) {
            assert!(!span.raw.contains(secret), "{secret} in {span:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_or_hangs_costs_spans_and_nothing_else() {
    // One address that nobody listens on, and one where nobody ever answers.
    let away = free_address();
    let hangs = TcpListener::bind("127.0.0.1:0").unwrap();
    let hanging = hangs.local_addr().unwrap();
    for (address, settings) in [
        (away, [("EXPORT_TIMEOUT_MS", "600000"), ("FLUSH_MS", "600000")]),
        (hanging, [("EXPORT_TIMEOUT_MS", "600000"), ("FLUSH_MS", "100")]),
        (hanging, [("EXPORT_TIMEOUT_MS", "100"), ("FLUSH_MS", "600000")]),
    ] {
        let site = Site::new().await;
        let mut process = start(&site, &format!("http://{address}"), &[], &settings);
        process.ready().await;
        let client = Client::new(process.url(""));
        let product = client.list_product("Mug-1", 5).await;
        let order = client.place_order("an order", &[(product, 1)]).await;
        eventually(Duration::from_mins(1), "the order to be confirmed", async || {
            let (_, order) = client.get(&format!("/v1/orders/{order}")).await;
            if order["status"] == "confirmed" { Ok(()) } else { Err(order) }
        })
        .await;
        process.signal(Signal::TERM);
        let ended = process.ended(Duration::from_mins(1)).await;
        let log = process.output();
        assert!(ended.success(), "{log}");
        assert!(log.matches("traces do not reach the collector").count() <= 1, "{log}");
        assert!(!log.contains("hidden-token"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trouble_is_told_once_and_its_end_once_and_no_span_is_lost_meanwhile() {
    let receiver = Receiver::start().await;
    receiver.answer(StatusCode::SERVICE_UNAVAILABLE);
    let site = Site::new().await;
    let mut process = start(&site, &format!("http://{}", receiver.address), &[], &[]);
    process.ready().await;
    let client = Client::new(process.url(""));
    client.list_product("Mug-1", 5).await;
    eventually(Duration::from_mins(1), "more than one try", async || {
        if receiver.requests() > 1 { Ok(()) } else { Err(receiver.requests()) }
    })
    .await;
    receiver.answer(StatusCode::OK);
    eventually(Duration::from_mins(1), "the spans, and their count", async || {
        let sent = counter(&client, "annals_telemetry_spans_sent_total").await;
        let names = names(&receiver.spans());
        let all = ["POST /v1/products", "ListProduct", "append", "apply products"];
        let has_all = all.iter().all(|name| names.iter().any(|seen| seen == name));
        if has_all && sent == names.len() { Ok(()) } else { Err((sent, names)) }
    })
    .await;
    assert_eq!(receiver.authorizations().iter().collect::<Vec<_>>(), ["Bearer hidden-token"]);

    // What it will never take is counted.
    receiver.answer(StatusCode::UNAUTHORIZED);
    client.get("/v1/products").await;
    eventually(Duration::from_mins(1), "the refusal", async || {
        let refused = r#"annals_telemetry_spans_dropped_total{reason="refused"}"#;
        if counter(&client, refused).await > 0 { Ok(()) } else { Err("none yet") }
    })
    .await;
    process.signal(Signal::TERM);
    assert!(process.ended(Duration::from_mins(1)).await.success());
    let log = process.output();
    assert_eq!(log.matches("traces do not reach the collector").count(), 2, "{log}");
    assert_eq!(log.matches("traces reach the collector again").count(), 1, "{log}");
}

/// The spans from the first of `spans` that is known to `last`.
fn path_to(last: &Span, spans: &[Span]) -> Vec<Span> {
    let parent = |span: &Span| spans.iter().find(|other| other.id == span.parent).cloned();
    let mut path: Vec<_> = std::iter::successors(Some(last.clone()), parent).collect();
    path.reverse();
    path
}

fn names(spans: &[Span]) -> Vec<String> {
    spans.iter().map(|span| span.name.clone()).collect()
}

/// A counter of the process.
async fn counter(client: &Client, name: &str) -> usize {
    let metrics = client.text("/metrics").await;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {metrics}")).parse().unwrap()
}
