//! What can be typed.

use std::num::NonZeroU32;
use std::path::PathBuf;

use application::audit::AsOf;
use chrono::{DateTime, Utc};
use clap::{Args, Parser, Subcommand};
use uuid::Uuid;

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
    /// Says what holds a read model back, and what to do
    Why {
        /// Its name, for example `orders`
        name: String,
    },
    /// Erases the personal data of a subject, everywhere and for ever
    Erase {
        /// The subject, for example `customer:0193…`
        #[arg(required_unless_present = "invitations")]
        subject: Option<String>,
        /// Instead of one: whoever was invited to an organization, where the invitation is over
        #[arg(long, conflicts_with_all = ["subject", "command_id"])]
        invitations: bool,
        /// Really: it cannot be undone
        #[arg(long)]
        yes: bool,
        /// The command's id; the same id again has no second effect [default: a new one]
        #[arg(long, value_name = "UUID")]
        command_id: Option<Uuid>,
    },
    /// The keys of personal data
    #[command(subcommand)]
    Keys(Keys),
    /// Accounts
    #[command(subcommand)]
    Users(Users),
    /// Who may do what
    #[command(subcommand)]
    Access(Access),
    /// The settings
    #[command(subcommand)]
    Config(Config),
    /// The public message contract: an AsyncAPI document and a JSON Schema for each message
    #[command(subcommand)]
    Contract(Contract),
    /// Prints the description of the HTTP API, OpenAPI 3.1
    Openapi,
    /// Messages that failed, and those of the same key that wait behind them
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    /// What is due at times, and what came of it
    #[command(subcommand)]
    Jobs(Jobs),
    /// What the broker holds, and whether it is right
    #[command(subcommand)]
    Relay(Relay),
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
    /// Prints the events of one stream, for example `ordering.order-0193…`, or one event
    Show {
        /// The stream
        #[arg(required_unless_present = "event", conflicts_with = "event")]
        stream: Option<String>,
        /// Only what had happened then: `2026-01-01T00:00:00Z`, `position:120` or `version:7`
        #[arg(long, value_name = "MOMENT", conflicts_with = "event")]
        as_of: Option<AsOf>,
        /// The event with this id, instead of a stream
        #[arg(long, value_name = "ID")]
        event: Option<Uuid>,
        /// Print JSON, an event a line
        #[arg(long)]
        json: bool,
    },
    /// Says what changed in one stream between two moments, and which events did it
    ///
    /// A moment is a time such as `2026-01-01T00:00:00Z`, a position of the log such as
    /// `position:120`, or a version of the stream such as `version:7`; 0 is before anything
    /// happened.
    Diff {
        /// The stream
        stream: String,
        /// The first moment
        #[arg(long, value_name = "MOMENT")]
        from: AsOf,
        /// The second moment
        #[arg(long, value_name = "MOMENT")]
        to: AsOf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Writes the log, or some of its events, as lines of JSON
    ///
    /// Without filter and range it is an archive, from which `annals events import` makes the same
    /// log again. Format: docs/archive-format.md.
    Export(Export),
    /// Makes an empty log one that an archive holds
    Import {
        /// The archive; `-` reads standard input
        file: PathBuf,
    },
}

/// What is exported; parts that are given must all hold.
#[derive(Debug, Args)]
pub struct Export {
    /// Only what comes after this position
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(0..))]
    pub after: Option<i64>,
    /// Only up to this position
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(0..))]
    pub to: Option<i64>,
    /// Only events of this type, for example `ordering.order-placed`; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Only events of streams of this category, for example `ordering.order`; may be repeated
    #[arg(long = "category", value_name = "CATEGORY")]
    pub categories: Vec<String>,
    /// Only events with this tag; may be repeated, then with all of them
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Only what this actor asked for
    #[arg(long)]
    pub actor: Option<String>,
    /// Only what belongs to this tenant
    #[arg(long, value_name = "ID")]
    pub tenant: Option<Uuid>,
    /// Only the story that this request began
    #[arg(long, value_name = "ID")]
    pub correlation: Option<Uuid>,
    /// Only what this message caused
    #[arg(long, value_name = "ID")]
    pub causation: Option<Uuid>,
    /// Only what was recorded at this time or later, for example `2026-01-01T00:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<DateTime<Utc>>,
    /// Only what was recorded up to this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub until: Option<DateTime<Utc>>,
    /// Write to this file; if it holds an earlier export of the same, go on with it
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum Projections {
    /// Lists them: how far each has come, who keeps it, what is parked
    List {
        /// Print JSON, a read model a line
        #[arg(long)]
        json: bool,
    },
    /// Shows one: its generations, its parked keys, how the last one that was made differed
    Show {
        /// Its name, for example `orders`
        name: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Makes one anew from the log, beside the live one, compares them, and switches to it
    ///
    /// The live one serves all the time and is kept for `switch-back`. Whoever ends this command
    /// leaves the work to the projectors, if there are any; `cancel` gives it up.
    Rebuild {
        /// Its name, for example `orders`
        name: String,
        #[command(flatten)]
        pace: Pace,
        /// Do not switch: `switch` does it later
        #[arg(long)]
        hold: bool,
        #[command(flatten)]
        by: By,
    },
    /// Lets the live one rest, or with --rebuild the making of a new one
    Pause {
        /// Its name
        name: String,
        /// The making, not the live one
        #[arg(long)]
        rebuild: bool,
        #[command(flatten)]
        by: By,
    },
    /// Lets go on what `pause` lets rest
    Resume {
        /// Its name
        name: String,
        /// The making, not the live one
        #[arg(long)]
        rebuild: bool,
        #[command(flatten)]
        by: By,
    },
    /// Gives the making of a new one up; the live one is as it was
    Cancel {
        /// Its name
        name: String,
        #[command(flatten)]
        by: By,
    },
    /// Makes live what was made with `rebuild --hold`
    Switch {
        /// Its name
        name: String,
        #[command(flatten)]
        by: By,
    },
    /// Makes live again what the last switch replaced
    SwitchBack {
        /// Its name
        name: String,
        #[command(flatten)]
        by: By,
    },
    /// Drops what the last switch replaced: there is no way back then
    Discard {
        /// Its name
        name: String,
        #[command(flatten)]
        by: By,
    },
    /// Has the parked events of a key take effect now, in order
    #[command(group(clap::ArgGroup::new("which").required(true).args(["key", "all"])))]
    #[command(override_usage = "annals projections retry [OPTIONS] <NAME> <KEY|--all>")]
    Retry {
        /// Its name
        name: String,
        /// The parked key, as `show` lists it
        key: Option<String>,
        /// Every parked key
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        by: By,
    },
    /// Gives the first parked event of a key up for ever, and has the others take effect
    ///
    /// The read model is no longer what the log says, and a rebuild finds the event again.
    Skip {
        /// Its name
        name: String,
        /// The parked key, as `show` lists it
        key: String,
        /// Why, for the record
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        by: By,
    },
    /// Proves that the live one is what the log says, row by row; ends with 1 if it is not
    Verify {
        /// Its name
        name: String,
        #[command(flatten)]
        pace: Pace,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Prints what one held of a key at an earlier moment
    AsOf {
        /// Its name
        name: String,
        /// The key, for example the id of an order
        key: String,
        /// When: `2026-01-01T00:00:00Z` or `position:120`
        moment: AsOf,
    },
}

/// How fast a read model is made.
#[derive(Debug, Args)]
pub struct Pace {
    /// How many connections fill it
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(i16).range(1..=8))]
    pub lanes: i16,
    /// How many times slower others may become by it
    #[arg(long, value_name = "TIMES", default_value_t = 3.0, conflicts_with = "full_speed", value_parser = slowdown)]
    pub slowdown: f32,
    /// As fast as it can be, whatever others feel
    #[arg(long)]
    pub full_speed: bool,
}

/// Who does it.
#[derive(Debug, Args)]
pub struct By {
    /// Who does it, for the record
    #[arg(long, value_name = "NAME", default_value = "operator")]
    pub by: String,
}

#[derive(Debug, Subcommand)]
pub enum Jobs {
    /// Lists them: when each is due, how its last run went, what is parked
    List {
        /// Print JSON, a job a line
        #[arg(long)]
        json: bool,
    },
    /// Shows one: its rules and its last runs
    Show {
        /// Its name, for example `partitions-ahead`
        name: String,
        /// How many runs
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..))]
        runs: i64,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Asks for a run now, beside the schedule
    ///
    /// A running worker does it; `show` says what came of it.
    Run {
        /// Its name
        name: String,
        #[command(flatten)]
        by: By,
    },
    /// Gives a parked run, or one that waits for its next attempt, all its attempts again, now
    #[command(group(clap::ArgGroup::new("which").required(true).args(["slot", "all"])))]
    #[command(override_usage = "annals jobs retry [OPTIONS] <NAME> <SLOT|--all>")]
    Retry {
        /// Its name
        name: String,
        /// The slot of the run, as `show` lists it
        #[arg(value_parser = time)]
        slot: Option<DateTime<Utc>>,
        /// Every parked run
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        by: By,
    },
    /// Gives a run that is parked or due up for ever
    Skip {
        /// Its name
        name: String,
        /// The slot of the run, as `show` lists it
        #[arg(value_parser = time)]
        slot: DateTime<Utc>,
        /// Why, for the record
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        by: By,
    },
}

#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// Lists them in the order in which the messages of each key take effect
    List {
        /// Only those of this consumer
        #[arg(long)]
        consumer: Option<String>,
        /// Only those of this key, for example `ordering.order-0193…`
        #[arg(long)]
        key: Option<String>,
        /// Only those in this state
        #[arg(long)]
        state: Option<LetterState>,
        /// Print JSON, a letter a line, with headers and body
        #[arg(long)]
        json: bool,
    },
    /// Shows one, with headers and body
    Show {
        /// Its number in the list
        id: i64,
    },
    /// Has the first of a key tried again now, and those behind it after it
    ///
    /// The running consumer does it; the list shows what came of it.
    #[command(group(clap::ArgGroup::new("which").required(true).args(["id", "all"])))]
    Retry {
        /// Its number in the list
        id: Option<i64>,
        /// The first of every key
        #[arg(long)]
        all: bool,
        /// With --all: only those of this consumer
        #[arg(long, conflicts_with = "id")]
        consumer: Option<String>,
        /// Who asks, for the record
        #[arg(long, value_name = "NAME", default_value = "operator")]
        by: String,
    },
    /// Gives the first of a key up for ever, so that those behind it can go on
    Discard {
        /// Its number in the list
        id: i64,
        /// Why, for the record
        #[arg(long)]
        reason: String,
        /// Who decides it, for the record
        #[arg(long, value_name = "NAME", default_value = "operator")]
        by: String,
    },
}

/// What is to become of a held message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LetterState {
    /// Tried again by itself
    Retrying,
    /// Not tried again until somebody says so
    Dead,
    /// Behind another one of its key
    Waiting,
}

#[derive(Debug, Subcommand)]
pub enum Users {
    /// Makes an account that may do everything, and prints its password once
    CreateOperator {
        /// The address
        #[arg(long)]
        email: String,
        /// What people call the user
        #[arg(long, default_value = "Operator")]
        name: String,
        /// Reads the password from standard input instead of making one
        #[arg(long)]
        password_stdin: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum Access {
    /// Says whether a user may do something, and what decides it
    Explain {
        /// An id, or an address
        user: String,
        /// The permission, for example `orders.read`
        permission: String,
        /// With what: `order:ID` or `organization:ID`
        resource: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Makes a key-encryption key and prints it once, as `keys.encryption` takes it
    Generate {
        /// What it shall be called, for example the year: letters, digits, `.`, `_` and `-`
        name: String,
    },
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

#[derive(Debug, Subcommand)]
pub enum Contract {
    /// Prints the AsyncAPI document, or the JSON Schema of one message
    Show {
        /// The message, for example `ordering.order-placed.v1`
        #[arg(value_name = "TYPE")]
        message_type: Option<String>,
    },
    /// Writes all documents to a directory, unless that would break what it promises already
    Write {
        /// The directory; made if it is not there
        directory: PathBuf,
        /// Write even what breaks readers of the contract in the directory
        #[arg(long)]
        breaking: bool,
    },
    /// Says what readers of an earlier contract would miss with this version
    Check {
        /// The directory of the earlier contract
        directory: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub enum Relay {
    /// Shows where the stream and its consumers are not as declared; ends with 2 if they are not
    Plan,
    /// Makes and changes what `annals relay plan` shows
    Apply,
    /// Says whether the stream is what the log says; names the first difference and ends with 1
    Verify {
        /// Only what comes after this position
        #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(0..))]
        after: Option<i64>,
        /// Only up to this position [default: as far as is published]
        #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(0..))]
        to: Option<i64>,
    },
    /// Sends what the public was told again, to one subscriber, on a subject of its own
    ///
    /// What is sent, and how a subscriber knows that it has all of it: docs/messages.md.
    Replay(Replay),
}

/// What is sent again.
#[derive(Debug, Args)]
pub struct Replay {
    /// The subject, outside of the namespace, for example `replay.billing`
    #[arg(long, value_name = "SUBJECT")]
    pub to: String,
    /// Only what comes after this position; 0 for all
    #[arg(long, value_name = "POSITION", required_unless_present = "since")]
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    pub after: Option<i64>,
    /// Only what was recorded at this time or later, for example `2026-01-01T00:00:00Z`
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub since: Option<DateTime<Utc>>,
    /// Only up to this position [default: the end of the log]
    #[arg(long, value_name = "POSITION", value_parser = clap::value_parser!(i64).range(0..))]
    pub until: Option<i64>,
    /// Only messages of this type, for example `ordering.order-placed`; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Most messages in a second
    #[arg(long, value_name = "N")]
    pub rate: Option<NonZeroU32>,
}

fn time(text: &str) -> Result<DateTime<Utc>, &'static str> {
    let time = DateTime::parse_from_rfc3339(text);
    time.map(|time| time.to_utc()).map_err(|_| "must have the form 2026-01-01T00:00:00Z")
}

fn slowdown(text: &str) -> Result<f32, &'static str> {
    let times = text.parse().ok().filter(|times: &f32| times.is_finite() && *times > 1.0);
    times.ok_or("must be a number above 1, for example 2.5")
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("must have the form KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
