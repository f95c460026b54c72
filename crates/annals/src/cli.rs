//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::config::Role;

/// An event-sourced backend over PostgreSQL and NATS JetStream.
#[derive(Debug, Parser)]
#[command(name = "annals", version, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    pub settings: Settings,
    #[command(subcommand)]
    pub command: Command,
}

/// Where settings come from: defaults < file < environment < these flags.
#[derive(Debug, Args)]
pub struct Settings {
    /// A TOML file of settings [env: `ANNALS_CONFIG`]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One setting, for example `--set http.address=127.0.0.1:9000`; may be repeated
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = assignment)]
    pub set: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Everything on this machine: private services, demo data, every role
    Dev,
    /// The roles of this process, until SIGTERM or Ctrl-C
    Serve {
        /// Only this role; may be repeated [default: all]
        #[arg(long = "role", value_name = "ROLE")]
        roles: Vec<Role>,
    },
    /// Brings the database to the schema of this version
    Migrate,
    /// What happened
    #[command(subcommand)]
    Events(Events),
    /// The read models
    #[command(subcommand)]
    Projections(Projections),
    /// Erases the personal data of a subject, everywhere and for ever
    Erase {
        /// The subject, for example `customer:0193…`
        subject: String,
        /// Really: it cannot be undone
        #[arg(long)]
        yes: bool,
        /// The command's id; the same id again has no second effect [default: a new one]
        #[arg(long, value_name = "UUID")]
        command_id: Option<uuid::Uuid>,
    },
    /// The keys of personal data
    #[command(subcommand)]
    Keys(Keys),
    /// The settings
    #[command(subcommand)]
    Config(Config),
    /// Asks the process at `http.address` whether it is ready; for container health checks
    Healthcheck,
}

#[derive(Debug, Subcommand)]
pub enum Events {
    /// Prints the log as it grows, an event a line
    Tail {
        /// Begin after this position [default: the end of the log]
        #[arg(long, value_name = "POSITION")]
        after: Option<i64>,
        /// Only events of this type, for example `ordering.order-placed`; may be repeated
        #[arg(long = "type", value_name = "TYPE")]
        types: Vec<String>,
        /// End at the end of the log instead of waiting for more
        #[arg(long)]
        no_follow: bool,
        /// Print JSON, an event a line
        #[arg(long)]
        json: bool,
    },
    /// Prints every event of one stream, for example `ordering.order-0193…`
    Show {
        /// The stream
        stream: String,
        /// Print JSON, an event a line
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Projections {
    /// Lists them, and how far each has come
    List,
    /// Makes one anew from the log, beside the live one, and switches to it
    Rebuild {
        /// Its name, for example `orders`
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Lists the key-encryption keys in use, and how many subjects each has
    List,
    /// Wraps the keys of all subjects by the current key-encryption key
    Rotate,
}

#[derive(Debug, Subcommand)]
pub enum Config {
    /// Says whether the settings can be used
    Check,
    /// Prints the settings in force, secrets masked
    Show,
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must have the form KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
