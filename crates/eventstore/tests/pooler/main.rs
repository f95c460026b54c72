//! The store behind PgBouncer in transaction mode, where every transaction may be on another
//! connection to the server and nothing of a session stays.
//!
//! `make pooler PGBOUNCER=/path/to/pgbouncer` runs it; `cargo test` does not, because few systems
//! have a PgBouncer >= 1.21. The servers are private ones. Whatever does not hold panics.

mod appends;
mod followers;
mod live;
mod outage;
mod personal;
mod sessions;
mod site;

use std::path::Path;
use std::process::ExitCode;

use crate::site::{Site, Unknown};

#[expect(clippy::print_stderr, reason = "there is nobody else to tell")]
#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> ExitCode {
    let program = std::env::args().nth(1).unwrap_or_default();
    if program.is_empty() {
        eprintln!(
            "this needs a PgBouncer >= 1.21: `make pooler PGBOUNCER=/path/to/pgbouncer` names one"
        );
        return ExitCode::FAILURE;
    }
    match everything(Path::new(&program)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn everything(program: &Path) -> Result<(), testkit::Error> {
    let mut site = Site::start(program, Unknown::Refused)?;
    say("sessions change", &sessions::change(&site).await);
    say("appends and followers", &appends::all_at_once(&site).await);
    say("large appends", &appends::large(&site).await);
    say("personal data", &personal::erased_everywhere(&site).await);
    say("live", &live::latency(&site).await);
    say("outages", &outage::everything_comes_back(&mut site).await);
    let site = Site::start(program, Unknown::Ignored)?;
    say("appends and followers, options ignored", &appends::all_at_once(&site).await);
    say("personal data, options ignored", &personal::erased_everywhere(&site).await);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "who waits for it wants to know what was tried")]
fn say(what: &str, told: &str) {
    println!("{what}: {told}");
}
