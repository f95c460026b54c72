//! What is logged goes to standard error, so that standard output stays for answers.

use std::io::{IsTerminal as _, stderr};

use crate::config::{Log, LogFormat};

/// Begins to log as `log` says. A tool that draws how far it is does not want to be interrupted by
/// lines about the same, unless `log` asks for them.
///
/// # Errors
/// The filter cannot be read, or something logs already.
pub fn start(log: &Log, is_tool: bool) -> anyhow::Result<()> {
    let mut filter = log.filter()?;
    if is_tool && !log.filter.contains("projections") {
        filter = filter.add_directive("projections=warn".parse()?);
    }
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr)
        .with_ansi(stderr().is_terminal());
    let started = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("begin to log: {error}"))
}
