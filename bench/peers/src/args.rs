//! The command line: `peers <peer> <workload> --database-url ..`, and `peers list`.

use std::time::Duration;

use clap::{Parser, Subcommand};

/// Measures other Rust event stores on PostgreSQL.
#[derive(Debug, Parser)]
#[command(version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Prints the peers and their versions, one line of JSON each
    List,
    /// Measures postgres-es with cqrs-es
    #[command(subcommand)]
    PostgresEs(Run),
    /// Measures evento
    #[command(subcommand)]
    Evento(Run),
    /// Measures disintegrate-postgres
    #[command(subcommand)]
    DisintegratePostgres(Run),
}

#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Run {
    /// Tasks append one event each to fresh streams, again and again
    Append(Append),
    /// Tasks load a random aggregate, decide, and append
    Command(CommandRun),
    /// Reads all events in order
    Replay(Replay),
    /// One subscriber follows writers that run flat out
    Tail(Tail),
    /// A read model is made from the log, with a durable checkpoint
    Projection(Projection),
}

impl Run {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Append(_) => "append",
            Self::Command(_) => "command",
            Self::Replay(_) => "replay",
            Self::Tail(_) => "tail",
            Self::Projection(_) => "projection",
        }
    }

    pub(crate) fn server(&self) -> &Server {
        match self {
            Self::Append(run) => &run.load.server,
            Self::Command(run) => &run.load.server,
            Self::Replay(run) => &run.server,
            Self::Tail(run) => &run.load.server,
            Self::Projection(run) => &run.server,
        }
    }
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Server {
    /// Any database of the server; databases must be creatable over it
    #[arg(long)]
    pub(crate) database_url: String,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// What may be set for a peer.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Settings {
    /// How many connections the peer may have, its subscriber included
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=16))]
    pub(crate) connections: u32,
    /// Append to new streams without checking that they are new, where the peer can
    #[arg(long)]
    pub(crate) unchecked: bool,
}

/// How long to put a load on.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    pub(crate) server: Server,
    /// How long to measure
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
}

impl LoadArgs {
    pub(crate) fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Append {
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// How many tasks append at a time
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) tasks: u16,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CommandRun {
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// How many tasks handle commands at a time
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) tasks: u16,
    /// How many aggregates there are
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) aggregates: u32,
    /// How many events each aggregate has before
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) history: u16,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) server: Server,
    /// How many events to read
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) events: u32,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) load: LoadArgs,
    /// How many tasks write at a time
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) tasks: u16,
    /// How long the subscriber may see nothing new before what it has not seen counts as missed
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) grace_seconds: u64,
}

#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Projection {
    #[command(flatten)]
    pub(crate) server: Server,
    /// How many events to apply: an even number, as each order has two
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) events: u32,
    /// Let no commit wait for the disk
    #[arg(long)]
    pub(crate) asynchronous: bool,
}
