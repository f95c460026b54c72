//! `annals keys`: what wraps the keys of personal data. It shows ids and counts, and of keys only one
//! that it has just made.

use anyhow::Context as _;
use eventstore::personal::{WrappedKeys, count_keys};
use eventstore::{KeyEncryptionKeys, Keyring};

use super::{answer, open_log};
use crate::cli;
use crate::config::Config;

pub(super) async fn run(config: &Config, command: &cli::Keys) -> anyhow::Result<()> {
    match command {
        cli::Keys::Generate { name } => generate(name),
        cli::Keys::List => list(config).await,
        cli::Keys::Rotate => rotate(config).await,
    }
}

/// Asks nobody and keeps nothing.
fn generate(name: &str) -> anyhow::Result<()> {
    let made = KeyEncryptionKeys::generate(name)?;
    // Nobody is given what cannot be used.
    made.parse::<KeyEncryptionKeys>().context("a key cannot be called that")?;
    answer(&made)
}

async fn list(config: &Config) -> anyhow::Result<()> {
    let given = config.keys.key_encryption_keys()?;
    let store = open_log(config).await?;
    let counts = count_keys(&store).await?;
    answer(&format!("{:<24} {:>10} {:>8}", "KEY-ENCRYPTION KEY", "KEYS", "GIVEN"))?;
    for WrappedKeys { by, keys } in counts.wrapped {
        let given = match &given {
            Some(given) if given.current_id() == by => "current",
            Some(given) if given.contains(&by) => "yes",
            _ => "no",
        };
        answer(&format!("{by:<24} {keys:>10} {given:>8}"))?;
    }
    answer(&format!("{:<24} {:>10}", "(erased)", counts.erased))
}

async fn rotate(config: &Config) -> anyhow::Result<()> {
    let keys = config.keys.required()?;
    let current = keys.current_id().to_owned();
    let store = open_log(config).await?;
    let keyring = Keyring::connect(&store, keys, config.keys.cached_subjects).await?;
    let rotated = keyring.rotate().await?;
    answer(&format!("wrapped {} keys by {current}", rotated.keys))?;
    if rotated.left > 0 {
        anyhow::bail!(
            "{} keys were wrapped by another one meanwhile: give {current} to every process as its \
             current one, then rotate again",
            rotated.left
        );
    }
    Ok(())
}
