//! Settings: defaults < file < environment < flags, typed, unknown ones refused.
//!
//! This module alone reads the environment: `DATABASE_URL`, `NATS_URL`, and for every setting
//! `ANNALS_` with its path in capitals, two underscores between section and key
//! (`ANNALS_HTTP__ADDRESS`).

mod external_login;
mod identity;
mod mail;
mod masked;
mod sections;
mod serving;
mod sources;
mod telemetry;

use std::fmt;
use std::net::SocketAddr;

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

pub use external_login::ExternalLogin;
pub use identity::Identity;
pub use mail::Mail;
pub use sections::{Database, Feed, Http, Jobs, Keys, Log, LogFormat, Nats};
pub use sources::{annals_directory, load};
pub use telemetry::{Collector, Telemetry};

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What this process does.
    pub roles: Vec<Role>,
    /// The HTTP listener.
    pub http: Http,
    /// The feed.
    pub feed: Feed,
    /// PostgreSQL.
    pub database: Database,
    /// The message broker.
    pub nats: Nats,
    /// Keys for personal data.
    pub keys: Keys,
    /// Accounts, sessions and tokens.
    pub identity: Identity,
    /// Providers at which people log in.
    pub external_login: ExternalLogin,
    /// Who sends mail.
    pub mail: Mail,
    /// What looks after the tables by itself.
    pub jobs: Jobs,
    /// What is logged, and how.
    pub log: Log,
    /// Where traces go.
    pub telemetry: Telemetry,
}

/// A part of the work; together or apart, any number of processes each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Commands and queries over HTTP
    Api,
    /// Publishes what the public is told
    Relay,
    /// Keeps the read models
    Projector,
    /// Reacts to messages, and runs jobs
    Worker,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Api => "api",
            Self::Relay => "relay",
            Self::Projector => "projector",
            Self::Worker => "worker",
        })
    }
}

impl Config {
    /// Refuses what no section can see by itself.
    ///
    /// # Errors
    /// One sentence that says which setting is wrong and why.
    pub fn validate(&self) -> anyhow::Result<()> {
        let limits = self.http.limits()?;
        if !limits.anonymous.are_for_strangers() {
            loopback_only(self.http.address)?;
        }
        if self.roles.is_empty() {
            bail!("`roles` is empty: this process would do nothing");
        }
        if self.http.deadline_ms == 0 || self.http.body_limit_bytes == 0 {
            bail!("`http.deadline_ms` and `http.body_limit_bytes` must not be 0");
        }
        self.http.check_serving()?;
        if self.database.max_connections < 5 {
            bail!("`database.max_connections` must be at least 5: roles share one pool");
        }
        if self.database.query_connections == 0 {
            bail!("`database.query_connections` must not be 0");
        }
        if self.http.deadline_ms > 10_000 {
            bail!(
                "`http.deadline_ms` must be at most 10000: no answer of PostgreSQL is waited for longer"
            );
        }
        if self.http.requests_per_second > 1_000_000 {
            bail!("`http.requests_per_second` must be at most 1000000; 0 is for any number");
        }
        self.identity.validate()?;
        self.external_login.validate()?;
        self.nats.namespace().context("`nats.namespace` cannot be used")?;
        self.keys.key_encryption_keys()?;
        self.mail.validate()?;
        self.jobs.zone()?;
        self.log.filter().context("`log.filter` cannot be used")?;
        self.telemetry.validate()?;
        Ok(())
    }
}

/// Whoever reaches the listener may do what is not for strangers.
fn loopback_only(address: SocketAddr) -> anyhow::Result<()> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    bail!(
        "`http.address` is {address}, but `http.anonymous` lets whoever reaches it do more than \
         strangers should: grant that to users, or listen on a loopback address (127.0.0.1, ::1)"
    )
}

#[cfg(test)]
mod tests;
