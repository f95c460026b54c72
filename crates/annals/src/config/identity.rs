//! Accounts, sessions and tokens.

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::sync::Arc;

use adapters::{BreachedFile, HashCost};
use anyhow::{Context as _, bail};
use application::identity::Lifetimes;
use application::ports::access_tokens::Rotation;
use application::ports::passwords::{BreachedPasswords, NoneBreached};
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

/// How long before it signs a key is published: longer than any process keeps what it has read.
const ANNOUNCED: TimeDelta = TimeDelta::hours(1);

/// Accounts, sessions and tokens.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Who issues access tokens, as they say it.
    pub issuer: String,
    /// For whom they are, as they say it.
    pub audience: String,
    /// How long an access token lives.
    pub access_token_seconds: NonZeroU16,
    /// How long a session lives that is used.
    pub session_days: NonZeroU16,
    /// How long a session lives that is not.
    pub idle_days: NonZeroU16,
    /// How long what was mailed proves an address.
    pub verification_hours: NonZeroU16,
    /// How long what was mailed lets choose another password.
    pub password_reset_minutes: NonZeroU16,
    /// How long a key signs access tokens before the next one does.
    pub signing_key_days: NonZeroU16,
    /// What apps that show codes of second factors call this service.
    pub second_factor_name: String,
    /// Memory that the hash of a password takes.
    pub hash_memory_kib: NonZeroU32,
    /// How often it goes through that memory.
    pub hash_iterations: NonZeroU32,
    /// A file of passwords that are known to be lost: SHA-1 in hexadecimal capitals, a line each,
    /// sorted, also with `:` and a count behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breached_passwords: Option<PathBuf>,
}

impl Identity {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// One sentence that says which setting is wrong and why.
    pub fn validate(&self) -> anyhow::Result<()> {
        if self.issuer.trim().is_empty() || self.audience.trim().is_empty() {
            bail!("`identity.issuer` and `identity.audience` must not be empty");
        }
        // The format has no place for a colon.
        let name = &self.second_factor_name;
        if name.trim().is_empty() || name.contains(':') {
            bail!("`identity.second_factor_name` must not be empty, nor hold a colon");
        }
        if self.access_token_seconds.get() > 3_600 {
            bail!("`identity.access_token_seconds` must be at most 3600");
        }
        if self.idle_days > self.session_days {
            bail!("`identity.idle_days` must not be more than `identity.session_days`");
        }
        Ok(())
    }

    /// How long things last.
    pub fn lifetimes(&self) -> Lifetimes {
        Lifetimes {
            access_token: TimeDelta::seconds(self.access_token_seconds.get().into()),
            session: TimeDelta::days(self.session_days.get().into()),
            idle: TimeDelta::days(self.idle_days.get().into()),
            verification: TimeDelta::hours(self.verification_hours.get().into()),
            password_reset: TimeDelta::minutes(self.password_reset_minutes.get().into()),
        }
    }

    /// How keys of access tokens follow each other.
    pub fn rotation(&self) -> Rotation {
        let period = TimeDelta::days(self.signing_key_days.get().into());
        Rotation { period, announced: ANNOUNCED }
    }

    /// What the hash of a password costs.
    pub const fn cost(&self) -> HashCost {
        HashCost {
            memory_kib: self.hash_memory_kib.get(),
            iterations: self.hash_iterations.get(),
            lanes: 1,
        }
    }

    /// The passwords that are known to be lost.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn breached(&self) -> anyhow::Result<Arc<dyn BreachedPasswords>> {
        Ok(match &self.breached_passwords {
            None => Arc::new(NoneBreached),
            Some(file) => Arc::new(BreachedFile::open(file).with_context(|| {
                format!("`identity.breached_passwords` cannot be used: {}", file.display())
            })?),
        })
    }
}
