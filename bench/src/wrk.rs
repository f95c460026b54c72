//! wrk, which asks over HTTP as fast as it is answered.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Connections that ask, each again as soon as it is answered.
pub(crate) const CONNECTIONS: usize = 64;

/// Asks for `path` for `time`, as `script` (Lua) says if it says something; answers with requests a
/// second. It fails if any answer is no 2xx.
pub(crate) async fn ask(
    address: SocketAddr,
    path: &str,
    script: Option<&str>,
    time: Duration,
) -> anyhow::Result<f64> {
    let text = run(address, path, script, time).await?;
    ensure!(!text.contains("Non-2xx"), "{text}");
    rate(&text)
}

/// [`ask`], where many are to be refused.
pub(crate) async fn storm(
    address: SocketAddr,
    path: &str,
    script: &str,
    time: Duration,
) -> anyhow::Result<f64> {
    rate(&run(address, path, Some(script), time).await?)
}

fn rate(text: &str) -> anyhow::Result<f64> {
    let rate = text.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
    Ok(rate.with_context(|| text.to_owned())?.trim().parse()?)
}

/// What wrk says in the end.
async fn run(
    address: SocketAddr,
    path: &str,
    script: Option<&str>,
    time: Duration,
) -> anyhow::Result<String> {
    let mut command = Command::new("wrk");
    command
        .args(["--threads", "1", "--connections", &CONNECTIONS.to_string(), "--latency"])
        .args(["--duration", &format!("{}s", time.as_secs())])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    if script.is_some() {
        command.args(["--script", "/dev/stdin"]);
    }
    command.arg(format!("http://{address}{path}"));
    let mut child = match command.spawn() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            bail!("this is measured with wrk: install it, on Debian with `apt-get install wrk`")
        }
        child => child.context("start wrk")?,
    };
    let mut input = child.stdin.take().context("its input")?;
    input.write_all(script.unwrap_or_default().as_bytes()).await?;
    drop(input);
    let output = child.wait_with_output().await?;
    let text = String::from_utf8(output.stdout)?;
    ensure!(output.status.success(), "{text}");
    Ok(text)
}
