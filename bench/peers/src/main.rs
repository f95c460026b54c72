//! Measures other Rust event stores on PostgreSQL, with the work that Annals does in its own
//! benchmark.
//!
//! Every peer gets the same events, the same number of connections and a database of its own, and
//! is driven through its documented API with the fastest settings that keep its guarantees; which
//! these are, its file in [`peer`] says. Results are one line of JSON on standard output, logs go
//! to standard error.
//!
//! What a peer cannot do is answered with `unsupported` and the reason, never with a substitute.

mod args;
mod customer;
mod latency;
mod load;
mod order;
mod orders_view;
mod peer;
mod pool;
mod report;
mod scratch;
mod sightings;
mod versions;
mod workload;

use std::io::Write as _;
use std::panic::AssertUnwindSafe;
use std::process::ExitCode;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Parser as _;
use futures_util::FutureExt as _;
use serde::Serialize;

use crate::args::{Args, Command, Run};
use crate::peer::disintegrate_postgres::Disintegrate;
use crate::peer::evento::Evento;
use crate::report::{Outcome, Report};
use crate::scratch::Scratch;
use crate::versions::Peer;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| "warn,peers=info,sqlx::postgres::notice=off".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    match dispatch(Args::parse().command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(command: Command) -> Result<()> {
    match command {
        Command::List => Peer::ALL.iter().try_for_each(|peer| print(&peer.describe()?)),
        Command::PostgresEs(run) => measure(Peer::PostgresEs, run).await,
        Command::Evento(run) => measure(Peer::Evento, run).await,
        Command::DisintegratePostgres(run) => measure(Peer::DisintegratePostgres, run).await,
    }
}

async fn measure(peer: Peer, run: Run) -> Result<()> {
    let unchecked = run.server().settings.unchecked;
    let outcome = if unchecked && !matches!(peer, Peer::DisintegratePostgres) {
        let unsupported = "It has no append that does not check the version of the stream.";
        Outcome::Unsupported { unsupported }
    } else {
        in_scratch(peer, &run).await?
    };
    print(&Report { peer: peer.name(), version: peer.version()?, workload: run.name(), outcome })
}

/// Runs one workload in a fresh database, and drops that however the run ends.
async fn in_scratch(peer: Peer, run: &Run) -> Result<Outcome> {
    let scratch = Scratch::create(&run.server().database_url).await?;
    tracing::info!("{} {} in database {}", peer.name(), run.name(), scratch.name());
    let work = async {
        match peer {
            Peer::PostgresEs => peer::postgres_es::run(&scratch, run).await,
            Peer::Evento => workload::run_all::<Evento>(&scratch, run).await,
            Peer::DisintegratePostgres => workload::run_all::<Disintegrate>(&scratch, run).await,
        }
    };
    let outcome = tokio::select! {
        // A panic inside a peer must not keep us from cleaning up.
        outcome = AssertUnwindSafe(work).catch_unwind() => {
            outcome.unwrap_or_else(|_| Err(anyhow!("the peer panicked")))
        }
        _ = tokio::signal::ctrl_c() => Err(anyhow!("interrupted")),
    };
    scratch.drop().await?;
    outcome
}

fn print(line: &impl Serialize) -> Result<()> {
    let line = serde_json::to_string(line)?;
    if line.contains('\n') {
        bail!("a report must be one line");
    }
    writeln!(std::io::stdout(), "{line}").context("cannot write the report")
}
