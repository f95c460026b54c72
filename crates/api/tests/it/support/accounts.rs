//! Accounts, with hashes that cost nothing.

use std::num::NonZeroUsize;
use std::sync::Arc;

use adapters::{Argon2Passwords, HashCost, HashThreads, Jwts, SystemRandomness};
use application::CommandBus;
use application::access::Access;
use application::identity::{Identity, Lifetimes, Parts, SecondFactors, SigningKeys};
use application::ports::access_tokens::{AccessTokens, Rotation};
use application::ports::passwords::NoneBreached;
use chrono::TimeDelta;
use eventstore::{EventStore, KeyEncryptionKeys, Keyring};

use super::TestClock;

/// Of every process of these tests.
const KEYS: &str = "test=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// How long things last.
pub(crate) const LIFETIMES: Lifetimes = Lifetimes {
    access_token: TimeDelta::minutes(5),
    session: TimeDelta::days(30),
    idle: TimeDelta::days(14),
    verification: TimeDelta::hours(48),
    password_reset: TimeDelta::hours(1),
};

/// How long a key signs.
pub(crate) const ROTATION: Rotation =
    Rotation { period: TimeDelta::days(30), announced: TimeDelta::hours(1) };

/// Accounts on `bus`, which keeps personal data from now on.
pub(super) async fn open(
    store: &EventStore,
    bus: CommandBus,
    clock: &TestClock,
) -> (Identity, Access) {
    let keys: KeyEncryptionKeys = KEYS.parse().unwrap();
    let keyring = Keyring::connect(store, keys, NonZeroUsize::new(100).unwrap()).await.unwrap();
    let bus = bus.with_personal_data(keyring.clone()).await.unwrap();
    let randomness = Arc::new(SystemRandomness);
    let threads = HashThreads::default();
    let passwords = Argon2Passwords::new(HashCost::CHEAPEST, threads, randomness.clone()).unwrap();
    let tokens: Arc<dyn AccessTokens> = Arc::new(Jwts::new("test", "test"));
    let (pool, lifetime) = (store.pool().clone(), LIFETIMES.access_token);
    let keys =
        SigningKeys::load(pool, keyring.clone(), tokens.clone(), Arc::new(clock.clone()), lifetime)
            .await
            .unwrap();
    keys.rotate(ROTATION, &SystemRandomness).await.unwrap();
    let access = Access::load(store.clone(), clock, lifetime).await.unwrap();
    let parts = Parts {
        passwords: Arc::new(passwords),
        breached: Arc::new(NoneBreached),
        randomness,
        tokens,
        keys,
        lifetimes: LIFETIMES,
        second_factors: SecondFactors { keyring, service: "Test".into() },
    };
    (Identity::new(bus, parts), access)
}
