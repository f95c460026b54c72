//! Wrapping the keys of subjects by another key-encryption key.

use super::table::{self, Wrapped};
use super::{Keyring, KeyringError};
use crate::EventStore;
use crate::answer::within;

/// Keys of one batch.
const BATCH: i64 = 500;

/// What a rotation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// Keys wrapped anew.
    pub keys: u64,
    /// Keys that another one than the current wraps, because a process that knows no better made
    /// them meanwhile: rotate again when all know the current one.
    pub left: u64,
}

/// How many keys there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCounts {
    /// By what wraps them, sorted by id.
    pub wrapped: Vec<WrappedKeys>,
    /// Subjects that are erased.
    pub erased: u64,
}

/// Keys that one key-encryption key wraps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedKeys {
    /// Its id.
    pub by: String,
    /// How many.
    pub keys: u64,
}

/// How many keys there are; reads all rows.
///
/// # Errors
/// The database cannot be reached.
pub async fn count_keys(store: &EventStore) -> Result<KeyCounts, sqlx::Error> {
    let counts = sqlx::query!(
        r#"
        SELECT wrapped_by, count(*) AS "keys!"
        FROM eventstore.subject_keys
        GROUP BY wrapped_by
        ORDER BY wrapped_by
        "#
    );
    let (mut wrapped, mut erased) = (Vec::new(), 0);
    for row in counts.fetch_all(store.pool()).await? {
        let keys = row.keys.unsigned_abs();
        match row.wrapped_by {
            Some(by) => wrapped.push(WrappedKeys { by, keys }),
            None => erased = keys,
        }
    }
    Ok(KeyCounts { wrapped, erased })
}

/// The ids of the key-encryption keys in use; cheap, however many subjects there are.
///
/// # Errors
/// The database cannot be reached.
pub async fn key_encryption_keys_in_use(store: &EventStore) -> Result<Vec<String>, sqlx::Error> {
    within(async { table::wrapping_keys(&mut *store.pool().acquire().await?).await }).await
}

impl Keyring {
    /// Wraps every key by the current key-encryption key, while others go on: the keys themselves
    /// stay, and nothing that was sealed is touched.
    ///
    /// Each batch commits by itself, so what is cut off is simply begun again; several at once do
    /// no harm. Before, give the new key to every process; afterwards, when nothing is left, the
    /// old one may be taken away from them.
    ///
    /// # Errors
    /// [`KeyringError::MissingKeyEncryptionKey`] and the like: nothing of that batch was changed.
    pub async fn rotate(&self) -> Result<Rotated, KeyringError> {
        let current = self.shared.keys.current_id();
        let mut keys = 0;
        let used = key_encryption_keys_in_use(&self.store).await?;
        for by in used.into_iter().filter(|by| by != current) {
            let mut after = String::new();
            loop {
                let batch = within(async {
                    let mut connection = self.shared.pool.acquire().await?;
                    table::wrapped_by(&mut connection, &by, &after, BATCH).await
                })
                .await?;
                let Some(last) = batch.last() else { break };
                last.subject.as_str().clone_into(&mut after);
                let anew = self.wrap_anew(&batch)?;
                keys += within(async {
                    let mut connection = self.shared.pool.acquire().await?;
                    table::replace(&mut connection, &batch, &anew, current).await
                })
                .await?;
            }
        }
        let counts = count_keys(&self.store).await?;
        let left = counts.wrapped.iter().filter(|wrapped| wrapped.by != current);
        Ok(Rotated { keys, left: left.map(|wrapped| wrapped.keys).sum() })
    }

    fn wrap_anew(&self, batch: &[Wrapped]) -> Result<Vec<Vec<u8>>, KeyringError> {
        let keys = &self.shared.keys;
        let anew = batch.iter().map(|old| {
            let key = keys.unwrap(&old.subject, old.id, &old.by, old.bytes.clone())?;
            keys.wrap(&old.subject, &key)
        });
        anew.collect()
    }
}
