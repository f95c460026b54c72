//! Other event stores, measured by the program in `bench/peers` on the same server.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::Context as _;
use serde::Deserialize;
use tokio::process::Command;

use crate::load::Measured;

/// Who is measured.
pub(crate) const ALL: [&str; 3] = ["evento", "postgres-es", "disintegrate-postgres"];

/// The program that measures them.
#[derive(Debug)]
pub(crate) struct Peers(PathBuf);

/// What it says.
#[derive(Debug, Deserialize)]
pub(crate) struct Answer {
    /// Why a peer cannot do what is measured.
    pub(crate) unsupported: Option<String>,
    #[serde(default)]
    pub(crate) rate_per_s: f64,
    #[serde(default)]
    p50_ms: f64,
    #[serde(default)]
    p99_ms: f64,
    pub(crate) missed: Option<u64>,
    pub(crate) delay_p50_ms: Option<f64>,
}

impl Answer {
    pub(crate) fn measured(&self) -> Measured {
        Measured { rate_per_s: self.rate_per_s, p50_ms: self.p50_ms, p99_ms: self.p99_ms }
    }
}

impl Peers {
    pub(crate) const fn at(program: PathBuf) -> Self {
        Self(program)
    }

    /// Lets `peer` do `workload` on the server at `url`.
    pub(crate) async fn run(
        &self,
        peer: &str,
        workload: &str,
        url: &str,
        options: &[String],
    ) -> anyhow::Result<Answer> {
        let output = Command::new(&self.0)
            .args([peer, workload, "--database-url", url])
            .args(options)
            .stderr(Stdio::inherit())
            .output()
            .await
            .with_context(|| format!("run {}", self.0.display()))?;
        let text = String::from_utf8(output.stdout)?;
        serde_json::from_str(text.trim()).with_context(|| format!("{peer} {workload}: {text}"))
    }

    /// Lets `peer` make a read model of `events` events; with `asynchronous`, no commit waits for
    /// the disk.
    pub(crate) async fn projection(
        &self,
        peer: &str,
        url: &str,
        events: u32,
        asynchronous: bool,
    ) -> anyhow::Result<Answer> {
        let mut options = vec!["--events".to_owned(), events.to_string()];
        options.extend(asynchronous.then(|| "--asynchronous".to_owned()));
        self.run(peer, "projection", url, &options).await
    }
}
