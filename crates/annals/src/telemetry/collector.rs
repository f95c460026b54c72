//! A collector that takes OTLP over HTTP, as protobuf.

use std::time::Duration;

use anyhow::Context as _;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client as Connections, ResponseFuture};
use hyper_util::rt::TokioExecutor;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use prost::Message as _;
use prost::bytes::Bytes;

use crate::config::Collector;

/// Most that is read of an answer.
const ANSWER_BYTES: usize = 64 * 1024;

/// Connections to one collector.
pub(super) struct Client {
    connections: Transport,
    address: Uri,
    headers: HeaderMap,
    timeout: Duration,
    resource: ResourceAttributesWithSchema,
}

enum Transport {
    Plain(Connections<HttpConnector, Full<Bytes>>),
    Tls(Connections<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// Why spans were not taken.
#[derive(Debug)]
pub(super) enum Failure {
    /// It may take them later.
    NotNow(String),
    /// It will never take these.
    Refused(String),
}

impl Client {
    /// Of spans of `resource`. Nothing is sent yet.
    pub(super) fn new(collector: Collector, resource: &Resource) -> anyhow::Result<Self> {
        let Collector { address, mut headers, timeout } = collector;
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let agent = concat!("annals/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        let builder = legacy::Client::builder(TokioExecutor::new());
        let connections = if address.scheme_str() == Some("https") {
            let tls = HttpsConnectorBuilder::new()
                .with_native_roots()
                .context("find the certificate authorities of this machine")?;
            Transport::Tls(builder.build(tls.https_only().enable_http1().build()))
        } else {
            Transport::Plain(builder.build_http())
        };
        Ok(Self { connections, address, headers, timeout, resource: resource.into() })
    }

    /// What is sent of `spans`.
    pub(super) fn body(&self, spans: Vec<SpanData>) -> Bytes {
        let resource_spans = group_spans_by_resource_and_scope(spans, &self.resource);
        ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
    }

    /// Sends it once; answers with how many spans of it were refused.
    pub(super) async fn send(&self, body: Bytes) -> Result<u64, Failure> {
        let sent = tokio::time::timeout(self.timeout, self.exchange(body)).await;
        let (status, answer) = sent
            .map_err(|_| Failure::NotNow(format!("no answer in {:?}", self.timeout)))?
            .map_err(|error| Failure::NotNow(format!("{error:#}")))?;
        match status {
            _ if status.is_success() => {
                let answer = ExportTraceServiceResponse::decode(answer).unwrap_or_default();
                let refused = answer.partial_success.map_or(0, |part| part.rejected_spans);
                Ok(u64::try_from(refused).unwrap_or_default())
            }
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => Err(Failure::NotNow(format!("it answers {status}"))),
            _ => Err(Failure::Refused(format!("it answers {status}"))),
        }
    }

    async fn exchange(&self, body: Bytes) -> anyhow::Result<(StatusCode, Bytes)> {
        let mut request = Request::post(self.address.clone()).body(Full::new(body))?;
        request.headers_mut().clone_from(&self.headers);
        let response: Response<_> = self.connections.request(request).await?;
        let status = response.status();
        let answer = Limited::new(response.into_body(), ANSWER_BYTES).collect().await;
        let answer = answer.map_err(anyhow::Error::from_boxed)?;
        Ok((status, answer.to_bytes()))
    }
}

impl Transport {
    fn request(&self, request: Request<Full<Bytes>>) -> ResponseFuture {
        match self {
            Self::Plain(connections) => connections.request(request),
            Self::Tls(connections) => connections.request(request),
        }
    }
}
