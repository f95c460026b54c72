//! The keys of access tokens: in the database, sealed, the same for all processes.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use chrono::TimeDelta;
use eventstore::answer::{begin, within};
use eventstore::{Keyring, Personal, PersonalError, Place, Subject};
use serde_json::value::RawValue;
use sqlx::types::Json;
use sqlx::{PgConnection, PgPool};
use tokio::sync::Mutex;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::IdentityError;
use crate::ports::access_tokens::{
    AccessTokens, KeySet, LEEWAY, Rotation, Seed, SigningKey, SigningPeriod,
};
use crate::ports::{Clock, Randomness};

/// How old what is known of the keys may be before a token under an unknown one has it read anew.
const STALE: Duration = Duration::from_secs(5);

/// What is known of the keys. Clones share it.
#[derive(Clone)]
pub struct SigningKeys {
    pool: PgPool,
    keyring: Keyring,
    tokens: Arc<dyn AccessTokens>,
    clock: Arc<dyn Clock>,
    token_lifetime: TimeDelta,
    known: Arc<RwLock<Arc<KeySet>>>,
    read_at: Arc<Mutex<Instant>>,
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKeys").finish_non_exhaustive()
    }
}

impl SigningKeys {
    /// Opens what is sealed.
    pub(super) const fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Reads the keys there are.
    ///
    /// # Errors
    /// The database cannot be reached, or a key cannot be opened.
    pub async fn load(
        pool: PgPool,
        keyring: Keyring,
        tokens: Arc<dyn AccessTokens>,
        clock: Arc<dyn Clock>,
        token_lifetime: TimeDelta,
    ) -> Result<Self, IdentityError> {
        let none = KeySet::new(Vec::new(), Vec::new(), token_lifetime);
        let keys = Self {
            pool,
            keyring,
            tokens,
            clock,
            token_lifetime,
            known: Arc::new(RwLock::new(Arc::new(none))),
            read_at: Arc::new(Mutex::new(Instant::now())),
        };
        keys.reload().await?;
        Ok(keys)
    }

    /// The keys as they are known.
    #[must_use]
    pub fn current(&self) -> Arc<KeySet> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the keys anew.
    ///
    /// # Errors
    /// As [`SigningKeys::load`].
    pub async fn reload(&self) -> Result<(), IdentityError> {
        let mut read_at = self.read_at.lock().await;
        let mut connection = within(self.pool.acquire()).await?;
        let keys = self.read(&mut connection).await?;
        self.know(keys);
        *read_at = Instant::now();
        Ok(())
    }

    /// [`SigningKeys::reload`], unless that was done a moment ago: another process may have made the
    /// first key.
    ///
    /// # Errors
    /// As [`SigningKeys::load`].
    pub async fn reload_if_stale(&self) -> Result<(), IdentityError> {
        if self.read_at.lock().await.elapsed() < STALE {
            return Ok(());
        }
        self.reload().await
    }

    /// Makes the next key if one is due; whether it did. Of several processes one does.
    ///
    /// # Errors
    /// The database cannot be reached, or there is no randomness.
    pub async fn rotate(
        &self,
        rotation: Rotation,
        randomness: &dyn Randomness,
    ) -> Result<bool, IdentityError> {
        let mut transaction = within(begin(&self.pool, "BEGIN")).await?;
        // Readers are not kept waiting.
        let lock = sqlx::query("LOCK TABLE identity.signing_keys IN SHARE ROW EXCLUSIVE MODE");
        within(lock.execute(&mut *transaction)).await?;
        let mut keys = self.read(&mut transaction).await?;
        let now = self.clock.now();
        let due = rotation.due(&keys, now);
        if let Some(period) = due {
            let key = self.tokens.signing_key(Seed::random(randomness)?, period)?;
            self.keep(&mut transaction, &key).await?;
            keys = self.read(&mut transaction).await?;
        }
        within(transaction.commit()).await?;
        self.know(keys);
        Ok(due.is_some())
    }

    fn know(&self, keys: KeySet) {
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    async fn read(&self, connection: &mut PgConnection) -> Result<KeySet, IdentityError> {
        let rows = sqlx::query!(
            r#"
            SELECT seed AS "seed: Json<Box<RawValue>>", not_before, not_after
            FROM identity.signing_keys
            WHERE not_after > $1
            ORDER BY not_before
            "#,
            self.clock.now() - self.token_lifetime - LEEWAY,
        );
        let rows = within(rows.fetch_all(connection)).await?;
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows {
            let sealed = row.seed.0;
            let open = || serde_json::from_str::<Personal<[u8; 32]>>(sealed.get());
            let seed = self.keyring.open(&place(), open).await.map_err(failed)?;
            let Some(seed) = seed.into_value().map(Zeroizing::new) else { continue };
            let period = SigningPeriod { not_before: row.not_before, not_after: row.not_after };
            keys.push(self.tokens.signing_key(Seed::new(seed), period)?);
        }
        Ok(KeySet::new(Vec::new(), keys, self.token_lifetime))
    }

    async fn keep(
        &self,
        connection: &mut PgConnection,
        key: &SigningKey,
    ) -> Result<(), IdentityError> {
        let seal = || {
            let seed = Personal::new(subject(), *key.seed().expose());
            serde_json::value::to_raw_value(&seed)
        };
        let sealed = self.keyring.seal(&place(), seal).await.map_err(failed)?;
        let period = key.verification().period();
        let kept = sqlx::query!(
            "
            INSERT INTO identity.signing_keys (public_key, seed, not_before, not_after)
            VALUES ($1, $2, $3, $4)
            ",
            key.verification().public().as_bytes(),
            Json(sealed) as _,
            period.not_before,
            period.not_after,
        );
        within(kept.execute(connection)).await?;
        Ok(())
    }
}

/// Under whose key they are sealed: nobody's, so nobody's erasure reaches them.
#[expect(clippy::expect_used, reason = "a short name is a subject")]
fn subject() -> Subject {
    Subject::new("annals:signing-keys").expect("a subject")
}

fn place() -> Place {
    Place::other("identity.signing-keys")
}

fn failed(error: PersonalError<serde_json::Error>) -> IdentityError {
    match error {
        PersonalError::Keyring(error) => IdentityError::Keyring(error),
        PersonalError::Codec(error) => crate::CommandError::Encode(error.into()).into(),
    }
}
