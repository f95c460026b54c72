//! When API keys were last used.
//!
//! Noted in memory, by the minute, and written now and then: at a crash what was noted in the last
//! [`PERIOD`] is lost.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::ids::ApiKeyId;
use eventstore::answer::within;
use tokio_util::sync::CancellationToken;

use super::Remembered;
use crate::identity::{Identity, IdentityError};

/// How often it is written.
const PERIOD: Duration = Duration::from_secs(20);

impl Remembered {
    pub(super) fn note_use(&self, key: ApiKeyId, at: DateTime<Utc>) {
        let seconds = at.timestamp();
        let Some(minute) = DateTime::from_timestamp(seconds - seconds.rem_euclid(60), 0) else {
            return;
        };
        let mut uses = self.uses.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = uses.entry(key).or_insert(minute);
        *noted = minute.max(*noted);
    }

    fn take_uses(&self) -> HashMap<ApiKeyId, DateTime<Utc>> {
        std::mem::take(&mut self.uses.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Identity {
    /// Writes now and then which API keys were used, until `stop`, and then once more.
    pub async fn keep_uses(self, stop: CancellationToken) {
        let mut is_last = false;
        while !is_last {
            is_last = stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_none();
            if let Err(error) = self.write_uses().await {
                tracing::warn!(error = %error, "which API keys were used is not written yet");
            }
        }
    }

    /// Writes which API keys were used since the last time; it is noted again if that fails.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn write_uses(&self) -> Result<(), IdentityError> {
        let uses = self.api_keys.take_uses();
        if uses.is_empty() {
            return Ok(());
        }
        let (keys, times): (Vec<_>, Vec<_>) = uses.iter().map(|(key, at)| (key.get(), *at)).unzip();
        let written = sqlx::query!(
            "
            UPDATE identity.api_keys AS key
            SET used_at = used.at
            FROM unnest($1::uuid[], $2::timestamptz[]) AS used (key_id, at)
            WHERE key.key_id = used.key_id AND (key.used_at IS NULL OR key.used_at < used.at)
            ",
            &keys,
            &times,
        );
        let written = within(written.execute(self.bus.store().pool())).await;
        if let Err(error) = written {
            for (key, at) in uses {
                self.api_keys.note_use(key, at);
            }
            return Err(error.into());
        }
        Ok(())
    }
}
