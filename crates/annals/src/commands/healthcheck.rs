//! `annals healthcheck`: asks a process of this machine whether it is ready.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn healthcheck(address: SocketAddr) -> anyhow::Result<()> {
    let answer = tokio::time::timeout(PATIENCE, ask(address)).await;
    let answer = answer.context("no answer in time")?.with_context(|| format!("ask {address}"))?;
    match answer.split(' ').nth(1) {
        Some("200") => super::answer("ready"),
        Some(status) => bail!("not ready: {status}"),
        None => bail!("whoever listens on {address} does not speak HTTP"),
    }
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
