//! `annals healthcheck`: asks a process of this machine whether it is ready.

mod pinned;

use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config::Http;

const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn healthcheck(http: &Http) -> anyhow::Result<()> {
    let address = http.address;
    let answer = tokio::time::timeout(PATIENCE, ask(http)).await;
    let answer = answer.context("no answer in time")?.with_context(|| format!("ask {address}"))?;
    match answer.split(' ').nth(1) {
        Some("200") => super::answer("ready"),
        Some(status) => bail!("not ready: {status}"),
        None => bail!("whoever listens on {address} does not speak HTTP"),
    }
}

async fn ask(http: &Http) -> anyhow::Result<String> {
    let stream = TcpStream::connect(http.address).await?;
    match &http.tls_certificate {
        None => exchange(stream, http).await,
        Some(certificate) => {
            let connector = pinned::connector(certificate)?;
            let name = http.address.ip().into();
            exchange(connector.connect(name, stream).await?, http).await
        }
    }
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    http: &Http,
) -> anyhow::Result<String> {
    let address = http.address;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
