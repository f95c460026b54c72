//! Accounts and sessions, composed.

use std::sync::Arc;
use std::time::Duration;

use adapters::{Argon2Passwords, HashThreads, Jwts, SystemClock, SystemRandomness, TimeOrderedIds};
use anyhow::Context as _;
use application::CommandBus;
use application::access::Access;
use application::identity::{Identity, Parts, SecondFactors, SigningKeys};
use application::ports::access_tokens::{AccessTokens, Rotation};
use application::ports::passwords::Passwords;
use eventstore::{EventStore, Keyring};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::config::Config;

/// How often it is looked whether a key of access tokens is due, and keys of other processes are read.
const KEYS: Duration = Duration::from_mins(1);

/// Where commands go, with keys for personal data if there are any.
///
/// # Errors
/// The database cannot be reached, or a key-encryption key is missing.
pub async fn bus(
    store: &EventStore,
    config: &Config,
) -> anyhow::Result<(CommandBus, Option<Keyring>)> {
    let bus = CommandBus::new(store.clone(), Arc::new(SystemClock), Arc::new(TimeOrderedIds))
        .with_message_limit(config.nats.message_limit());
    let Some(keys) = config.keys.key_encryption_keys()? else { return Ok((bus, None)) };
    let keyring = Keyring::connect(store, keys, config.keys.cached_subjects)
        .await
        .context("cannot use the keys of personal data")?;
    let bus = bus.with_personal_data(keyring.clone()).await;
    Ok((bus.context("cannot use the keys of personal data")?, Some(keyring)))
}

/// Accounts and sessions on `bus`.
///
/// # Errors
/// A setting cannot be used, or the database cannot be reached.
pub async fn open(bus: CommandBus, keyring: Keyring, config: &Config) -> anyhow::Result<Identity> {
    let settings = &config.identity;
    let randomness = Arc::new(SystemRandomness);
    let hashing = Argon2Passwords::new(settings.cost(), HashThreads::default(), randomness.clone());
    let passwords: Arc<dyn Passwords> = Arc::new(hashing.context("cannot hash passwords")?);
    let tokens: Arc<dyn AccessTokens> =
        Arc::new(Jwts::new(settings.issuer.clone(), settings.audience.clone()));
    let lifetimes = settings.lifetimes();
    let pool = bus.store().pool().clone();
    let keys = SigningKeys::load(
        pool,
        keyring.clone(),
        tokens.clone(),
        Arc::new(SystemClock),
        lifetimes.access_token,
    )
    .await
    .context("cannot read the keys of access tokens")?;
    rotate(&keys, settings.rotation()).await.context("cannot make a key of access tokens")?;
    let breached = settings.breached()?;
    let second_factors =
        SecondFactors { keyring, service: settings.second_factor_name.as_str().into() };
    let parts = Parts { passwords, breached, randomness, tokens, keys, lifetimes, second_factors };
    let identity = Identity::new(bus, parts);
    Ok(match config.external_login.logins()? {
        Some(external) => identity.with_external_logins(external),
        None => identity,
    })
}

/// Who may do what, known without asking.
///
/// # Errors
/// The log cannot be read.
pub async fn access(store: EventStore, config: &Config) -> anyhow::Result<Access> {
    let lifetime = config.identity.lifetimes().access_token;
    let access = Access::load(store, &SystemClock, lifetime).await;
    access.context("cannot read who may do what")
}

/// Makes keys of access tokens when they are due, and reads those of other processes, until `stop`.
pub async fn keep_keys(keys: SigningKeys, rotation: Rotation, stop: CancellationToken) {
    while stop.run_until_cancelled(sleep(KEYS)).await.is_some() {
        match rotate(&keys, rotation).await {
            Ok(true) => tracing::info!("a new key of access tokens is announced"),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(error = %format!("{error:#}"), "keys of access tokens were not read");
            }
        }
    }
}

async fn rotate(keys: &SigningKeys, rotation: Rotation) -> anyhow::Result<bool> {
    Ok(keys.rotate(rotation, &SystemRandomness).await?)
}
