//! Accounts, as the binary composes them.

use std::num::NonZeroUsize;
use std::sync::Arc;

use adapters::{
    Argon2Passwords, HashCost, HashThreads, Jwts, SystemClock, SystemRandomness, TimeOrderedIds,
};
use anyhow::Context as _;
use application::CommandBus;
use application::access::Access;
use application::identity::{Identity, Lifetimes, Parts, SecondFactors, SigningKeys};
use application::ports::access_tokens::{AccessTokens, Rotation};
use application::ports::passwords::NoneBreached;
use chrono::TimeDelta;
use eventstore::{EventStore, KeyEncryptionKeys, Keyring};

/// Accounts on `store` under `keys`, with passwords at this cost.
pub(crate) async fn open(
    store: &EventStore,
    keys: &str,
    cost: HashCost,
) -> anyhow::Result<(Identity, Access)> {
    let keys: KeyEncryptionKeys = keys.parse()?;
    let cached = NonZeroUsize::new(1_000).context("not 0")?;
    let keyring = Keyring::connect(store, keys, cached).await?;
    let bus = CommandBus::new(store.clone(), Arc::new(SystemClock), Arc::new(TimeOrderedIds));
    let bus = bus.with_personal_data(keyring.clone()).await?;
    let lifetimes = Lifetimes {
        access_token: TimeDelta::hours(1),
        session: TimeDelta::days(1),
        idle: TimeDelta::days(1),
        verification: TimeDelta::days(1),
        password_reset: TimeDelta::days(1),
    };
    let randomness = Arc::new(SystemRandomness);
    let passwords = Argon2Passwords::new(cost, HashThreads::default(), randomness.clone())?;
    let tokens: Arc<dyn AccessTokens> = Arc::new(Jwts::new("bench", "bench"));
    let lifetime = lifetimes.access_token;
    let (pool, clock) = (store.pool().clone(), Arc::new(SystemClock));
    let keys = SigningKeys::load(pool, keyring.clone(), tokens.clone(), clock, lifetime).await?;
    let rotation = Rotation { period: TimeDelta::days(1), announced: TimeDelta::hours(1) };
    keys.rotate(rotation, &SystemRandomness).await?;
    let access = Access::load(store.clone(), &SystemClock, lifetime).await?;
    let parts = Parts {
        passwords: Arc::new(passwords),
        breached: Arc::new(NoneBreached),
        randomness,
        tokens,
        keys,
        lifetimes,
        second_factors: SecondFactors { keyring, service: "bench".into() },
    };
    Ok((Identity::new(bus, parts), access))
}
