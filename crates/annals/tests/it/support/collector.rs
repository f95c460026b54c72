//! A real collector of traces, rotel from `PyPI`, and what it gives on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1 as wire;
use prost::Message as _;
use testkit::Python;
use tokio::net::TcpListener;

use super::free_address;

/// A span, as it came out of a collector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Span {
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) kind: wire::span::SpanKind,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) is_error: bool,
    /// Of the process.
    pub(crate) resource: BTreeMap<String, String>,
    /// Everything that was sent of it, as text.
    pub(crate) raw: String,
}

/// Takes OTLP over HTTP, and keeps what it takes.
#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    kept: Arc<Mutex<Kept>>,
}

struct Kept {
    spans: Vec<Span>,
    answer: StatusCode,
    requests: usize,
    authorizations: BTreeSet<String>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Kept {
            spans: Vec::new(),
            answer: StatusCode::OK,
            requests: 0,
            authorizations: BTreeSet::new(),
        };
        let receiver = Self { address, kept: Arc::new(Mutex::new(kept)) };
        let router = Router::new().route("/v1/traces", post(take)).with_state(receiver.clone());
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        receiver
    }

    /// What it answers from now on; it keeps only what it accepts.
    pub(crate) fn answer(&self, status: StatusCode) {
        self.kept.lock().unwrap().answer = status;
    }

    pub(crate) fn requests(&self) -> usize {
        self.kept.lock().unwrap().requests
    }

    pub(crate) fn authorizations(&self) -> BTreeSet<String> {
        self.kept.lock().unwrap().authorizations.clone()
    }

    /// What it has taken so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.kept.lock().unwrap().spans.clone()
    }
}

async fn take(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let mut text = body.to_vec();
    // rotel compresses what it gives on, also when it is told not to.
    if headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
        text.clear();
        GzDecoder::new(&*body).read_to_end(&mut text).unwrap();
    }
    let request = ExportTraceServiceRequest::decode(&*text).unwrap();
    let mut kept = receiver.kept.lock().unwrap();
    kept.requests += 1;
    if let Some(authorization) = headers.get("authorization") {
        kept.authorizations.insert(authorization.to_str().unwrap().to_owned());
    }
    if kept.answer.is_success() {
        for of_resource in request.resource_spans {
            let resource = texts(&of_resource.resource.unwrap().attributes);
            let spans = of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            kept.spans.extend(spans.map(|span| read(span, &resource)));
        }
    }
    kept.answer
}

fn read(span: wire::Span, resource: &BTreeMap<String, String>) -> Span {
    let hex = |bytes: &[u8]| {
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    };
    let failed = wire::status::StatusCode::Error as i32;
    Span {
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        kind: span.kind(),
        attributes: texts(&span.attributes),
        is_error: span.status.as_ref().is_some_and(|status| status.code == failed),
        resource: resource.clone(),
        raw: format!("{span:?}"),
        name: span.name,
    }
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |value: &Option<AnyValue>| match value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::BoolValue(truth) => Some(truth.to_string()),
        other => Some(format!("{other:?}")),
    };
    attributes.iter().filter_map(|it| Some((it.key.clone(), text(&it.value)?))).collect()
}

/// A running rotel, which gives everything on to a [`Receiver`]; killed when dropped.
pub(crate) struct Rotel {
    child: Child,
    pub(crate) endpoint: String,
}

/// Becomes the program that the package holds, so that it ends with the process started here.
const BECOME: &str = "import os, sys, rotel; \
    agent = os.path.join(os.path.dirname(rotel.__file__), 'rotel-agent'); \
    os.execv(agent, [agent, 'start', *sys.argv[1:]])";

impl Rotel {
    pub(crate) fn start(receiver: &Receiver) -> Self {
        let python = Python::with("rotel", "0.0.1a15").unwrap();
        let (http, grpc) = (free_address(), free_address());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let file = |kind: &str| folder.join(format!("rotel-{}.{kind}", http.port()));
        let log = std::fs::File::create(file("log")).unwrap();
        let mut command: Command = python.command();
        command
            .args(["-c", BECOME])
            .args(["--otlp-http-endpoint", &http.to_string()])
            .args(["--otlp-grpc-endpoint", &grpc.to_string()])
            .arg("--pid-file")
            .arg(file("pid"))
            .arg("--log-file")
            .arg(file("agent.log"))
            .args(["--exporter", "otlp", "--otlp-exporter-protocol", "http"])
            .args(["--otlp-exporter-endpoint", &format!("http://{}", receiver.address)])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        Self { child: command.spawn().unwrap(), endpoint: format!("http://{http}") }
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
