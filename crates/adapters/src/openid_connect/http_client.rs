//! Asks a provider over HTTP. Follows nobody elsewhere, and reads no more than fits.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{self, Client as Connections};
use hyper_util::rt::TokioExecutor;

/// Most that is read of an answer.
const ANSWER_BYTES: usize = 256 * 1024;

/// Connections to one provider.
pub(super) enum Client {
    Plain(Connections<HttpConnector, Full<Bytes>>),
    Tls(Connections<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("it cannot be reached")]
    Connection(#[source] legacy::Error),
    #[error("its answer broke off, or is too long")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("it says that it cannot answer now (status {0})")]
    NotNow(StatusCode),
    #[error("there was no answer in {0:?}")]
    TimedOut(Duration),
    #[error("what is asked has no form that could be sent")]
    Request(#[source] http::Error),
}

impl Client {
    pub(super) fn new(has_tls: bool) -> io::Result<Self> {
        let builder = legacy::Client::builder(TokioExecutor::new());
        Ok(if has_tls {
            let tls = HttpsConnectorBuilder::new().with_native_roots()?;
            Self::Tls(builder.build(tls.https_only().enable_http1().build()))
        } else {
            Self::Plain(builder.build_http())
        })
    }

    /// Asks once.
    pub(super) async fn ask(
        &self,
        request: http::request::Builder,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Trouble> {
        let mut request: Request<_> = request.body(Full::new(body)).map_err(Trouble::Request)?;
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let agent = concat!("annals/", env!("CARGO_PKG_VERSION"));
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        let answer = match self {
            Self::Plain(connections) => connections.request(request),
            Self::Tls(connections) => connections.request(request),
        };
        let answer = answer.await.map_err(Trouble::Connection)?;
        let status = answer.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Trouble::NotNow(status));
        }
        let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await;
        Ok((status, body.map_err(Trouble::Body)?.to_bytes()))
    }
}
