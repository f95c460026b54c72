//! Everything at once, for as long as you like: two relays, two copies of two consumers, the broker
//! and PostgreSQL are killed and frozen at random, connections are cut, late, slow and silent, while
//! writers append, messages fail and are redriven, and a subscriber in Python writes down what it gets.
//!
//! `cargo test` runs it for some seconds, `make torture` for longer:
//! `cargo test --package relay --test torture -- --seconds 600 --seed 7`, of which one half is on a
//! broker of one server and the other on a cluster of three (`--servers 1` or `3` leaves the other
//! half out). The seed decides what is appended, what fails and what is killed when; what the
//! machine makes of it is its own.
//!
//! What must hold (laws 5, 6 and 8) when all of it is over and everything runs again: the stream
//! holds what the outbox says, each message once and in the order of the log; the subscriber has
//! the same messages, in that order; each message took effect once at each consumer, in the order
//! of its key; and nothing is held any more. Anything that stands still for a minute is an error,
//! too.

#![expect(clippy::unwrap_used, reason = "all of it is a test, in which the lint allows it")]

mod audit;
mod broker;
mod drill;
mod effects;
mod faults;
mod roles;
mod subscriber;
mod writers;

use std::process::ExitCode;
use std::time::Duration;

use eventstore::EventStore;
use sqlx::migrate::Migrator;
use sqlx::postgres::PgPoolOptions;

use self::drill::Drill;
use self::roles::Settings;

static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

#[expect(clippy::print_stdout, reason = "the seed is what a failure is repeated with")]
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((role, settings)) = arguments.split_first()
        && let Some(settings) = Settings::read(settings)
    {
        roles::run(role, &settings).await;
        return ExitCode::SUCCESS;
    }
    let value = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    let seed = value("--seed").unwrap_or_else(rand::random);
    let time = Duration::from_secs(value("--seconds").unwrap_or(14)) / 2;
    let servers: &[u64] = match value("--servers") {
        Some(1) => &[1],
        Some(_) => &[3],
        None => &[1, 3],
    };
    for servers in servers {
        println!(
            "fault drill of the relay for {} s, broker of {servers}, again with: --seed {seed}",
            time.as_secs(),
        );
        let told = Drill::start(seed, *servers > 1).await.run(time).await;
        println!("{told}");
    }
    ExitCode::SUCCESS
}

/// The store at `url`, as soon as the server lets anybody in.
async fn open(url: &str) -> EventStore {
    testkit::eventually(Duration::from_mins(1), "the log", async || {
        let pool = PgPoolOptions::new()
            .max_connections(20)
            .acquire_timeout(Duration::from_secs(5))
            .connect(url)
            .await;
        let pool = pool.map_err(|error| error.to_string())?;
        EventStore::open(pool).await.map_err(|error| error.to_string())
    })
    .await
}
