//! What the event store does in a second, beside the limit of the machine and beside what others do.
//!
//! `make bench` runs everything on one private PostgreSQL with fsync on, prints one table, and
//! says which figure misses what is asked of it. Rates are medians of interleaved rounds, because
//! a machine is never as idle as it seems; only ratios of one run mean anything.

mod account;
mod accounts;
mod by_hand;
mod event;
mod ground;
mod load;
mod orders;
mod peers;
mod report;
mod server;
mod workloads;
mod wrk;

use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::report::Report;
use crate::server::Server;

#[derive(Debug, Parser)]
#[command(name = "bench", about)]
struct Cli {
    /// Only these workloads, see `bench list`
    #[arg(value_name = "WORKLOAD")]
    workloads: Vec<String>,
    /// How long each round of a workload lasts
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// How many rounds, of which the median counts
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Where `bench/peers` was built; without it the other event stores are left out
    #[arg(long, value_name = "PROGRAM")]
    peers: Option<std::path::PathBuf>,
    #[command(subcommand)]
    child: Option<Child>,
}

/// Work that is measured in a process of its own.
#[derive(Debug, Subcommand)]
enum Child {
    /// Appends, and prints the rate
    #[command(hide = true)]
    Write { url: String, tasks: usize, seconds: u64 },
    /// Publishes the outbox with the relay, and prints the rate and the memory it took
    #[command(hide = true)]
    Relay { url: String, nats: String, rows: u64 },
    /// Publishes as many messages that are made on the way, and prints the rate
    #[command(hide = true)]
    Publish { nats: String, rows: u64 },
    /// Takes effect of a stream, and prints how long it took and the memory
    #[command(hide = true)]
    Consume { url: String, nats: String, marks: String },
    /// Makes a read model, and prints how long it took and the memory
    #[command(hide = true)]
    Make { url: String, lanes: String },
    /// Keeps ten read models that have nothing to do, and prints what it took
    #[command(hide = true)]
    Idle { url: String },
    /// Serves the feed, and prints where
    #[command(hide = true, name = "serve-feed")]
    Feed { url: String },
    /// Serves the API to who has an account, and prints where
    #[command(hide = true, name = "serve-accounts")]
    Accounts { url: String, keys: String },
    /// Serves a bare route or two, and prints where
    #[command(hide = true)]
    Bare { url: String },
    /// Reads the whole log, and prints the rate and the memory it took
    #[command(hide = true)]
    Replay { url: String },
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "what was measured is its answer")]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .with_writer(std::io::stderr)
        .init();
    let cli = Cli::parse();
    match cli.child {
        Some(Child::Write { url, tasks, seconds }) => {
            let measured = workloads::processes::write(&url, tasks, Duration::from_secs(seconds));
            println!("{}", serde_json::to_string(&measured.await?)?);
            return Ok(());
        }
        Some(Child::Relay { url, nats, rows }) => {
            let drained = workloads::drain::drain(&url, &nats, rows).await?;
            println!("{}", serde_json::to_string(&drained)?);
            return Ok(());
        }
        Some(Child::Publish { nats, rows }) => {
            let drained = workloads::drain::publish(&nats, rows).await?;
            println!("{}", serde_json::to_string(&drained)?);
            return Ok(());
        }
        Some(Child::Consume { url, nats, marks }) => {
            let consumed = workloads::inbox::consume(&url, &nats, &marks).await?;
            println!("{}", serde_json::to_string(&consumed)?);
            return Ok(());
        }
        Some(Child::Make { url, lanes }) => {
            let made = workloads::rebuild::child(&url, &lanes).await?;
            println!("{}", serde_json::to_string(&made)?);
            return Ok(());
        }
        Some(Child::Idle { url }) => {
            println!("{}", serde_json::to_string(&workloads::follow::idle(&url).await?)?);
            return Ok(());
        }
        Some(Child::Feed { url }) => return workloads::feed::serve(&url).await,
        Some(Child::Accounts { url, keys }) => {
            return workloads::accounts::serve(&url, &keys).await;
        }
        Some(Child::Bare { url }) => return workloads::http::serve_bare(&url).await,
        Some(Child::Replay { url }) => {
            println!("{}", serde_json::to_string(&workloads::read::replay(&url).await?)?);
            return Ok(());
        }
        None => {}
    }
    let server = Server::start()?;
    let plan = workloads::Plan {
        server: &server,
        time: Duration::from_secs(cli.seconds),
        rounds: cli.rounds.max(1),
        peers: cli.peers.map(peers::Peers::at),
    };
    let mut report = Report::default();
    for (name, workload) in workloads::ALL {
        if cli.workloads.is_empty() || cli.workloads.iter().any(|wanted| wanted == name) {
            workload(&plan, &mut report).await?;
        }
    }
    println!("{report}");
    Ok(())
}
