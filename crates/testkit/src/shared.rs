//! The servers that all tests of one process share.
//!
//! `DATABASE_URL` and `NATS_URL` name servers that run already, in CI or under `annals dev`.
//! Without them a private one is started on first use. It belongs to no test's runtime: it
//! is a plain child process, started by blocking code, and ends with the test process.

use std::env;
use std::sync::OnceLock;

use crate::error::chain;
use crate::{Error, Nats, Postgres};

/// The connection URL of the PostgreSQL shared by this process's tests; the role may create
/// databases. The first call may block for some seconds while the server starts.
///
/// # Panics
/// No server can be started; the message says what to do.
#[must_use]
pub fn postgres_url() -> &'static str {
    &postgres().url
}

/// The URL of the nats-server shared by this process's tests. The first call may block for
/// some seconds while the server is fetched and started.
///
/// # Panics
/// No server can be started; the message says what to do.
#[must_use]
pub fn nats_url() -> &'static str {
    static SHARED: OnceLock<Result<Shared<Nats>, String>> = OnceLock::new();
    &get(&SHARED, "NATS_URL", Nats::start_ephemeral, Nats::url).url
}

/// Whether the shared PostgreSQL outlives this process, so that leaving things there matters.
pub(crate) fn is_postgres_external() -> bool {
    postgres().own.is_none()
}

fn postgres() -> &'static Shared<Postgres> {
    static SHARED: OnceLock<Result<Shared<Postgres>, String>> = OnceLock::new();
    get(&SHARED, "DATABASE_URL", Postgres::start_ephemeral, Postgres::url)
}

#[derive(Debug)]
struct Shared<S> {
    url: String,
    /// Keeps the server running; statics are never dropped, so until the process ends.
    own: Option<S>,
}

fn get<S>(
    shared: &'static OnceLock<Result<Shared<S>, String>>,
    variable: &str,
    start: impl FnOnce() -> Result<S, Error>,
    url: impl FnOnce(&S) -> String,
) -> &'static Shared<S> {
    let outcome = shared.get_or_init(|| {
        if let Some(url) = variable_value(variable) {
            return Ok(Shared { url, own: None });
        }
        let server = start().map_err(|error| chain(&error))?;
        Ok(Shared { url: url(&server), own: Some(server) })
    });
    match outcome {
        Ok(shared) => shared,
        Err(message) => panic!("{message}"),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests have no configuration of their own, so testkit reads these two variables for them"
)]
fn variable_value(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
