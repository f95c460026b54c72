//! What is logged goes to standard error, so that standard output stays for answers.

use std::io::{IsTerminal as _, stderr};

use crate::config::{Log, LogFormat};

/// Begins to log as `log` says.
///
/// # Errors
/// The filter cannot be read, or something logs already.
pub fn start(log: &Log) -> anyhow::Result<()> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(log.filter()?)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal());
    let started = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("begin to log: {error}"))
}
