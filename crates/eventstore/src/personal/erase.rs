//! Erasing: the key is destroyed, for ever and everywhere.

use std::sync::Arc;

use sqlx::{Connection as _, PgConnection};

use super::watch::CHANNEL;
use super::{Keyring, Subject};
use crate::answer::within;
use crate::{
    Append, AppendError, CommandId, EventStore, EventType, ExpectedVersion, Fingerprint, Metadata,
    NewEvent, Receipt,
};

/// What the log says of an erasure, version 1: `{"subject":"…"}`, on [`Subject::stream`].
pub const SUBJECT_ERASED: &str = "eventstore.subject-erased";

impl EventStore {
    /// Erases the personal data of `subject`: in one transaction its key is destroyed, the claims
    /// made for it are released, and the event [`SUBJECT_ERASED`] is appended.
    ///
    /// It needs no key-encryption key, and cannot be undone. Every process with a keyring reads the
    /// data as erased within a second. A subject of which nothing is known is erased as well:
    /// nothing will be written of it. The same command again has no second effect, and another
    /// command that erases it again adds no event.
    ///
    /// # Errors
    /// As [`EventStore::append`]; after [`AppendError::Unconfirmed`] give the same command again.
    pub async fn erase(
        &self,
        subject: &Subject,
        command_id: CommandId,
        metadata: Metadata,
    ) -> Result<Receipt, AppendError> {
        let unavailable = |error| AppendError::Unavailable { source: Arc::new(error) };
        let append = erasure(subject, command_id, metadata);
        let mut connection =
            within(async { self.pool().acquire().await }).await.map_err(unavailable)?;
        // Whatever goes wrong from here on, a connection in the middle of this is not used again.
        connection.close_on_drop();
        let mut transaction =
            within(async { connection.begin().await }).await.map_err(unavailable)?;
        let work =
            async { Ok::<_, sqlx::Error>(erase_in(self, &mut transaction, subject, append).await) };
        let receipt = within(work).await.map_err(unavailable)??;
        let unconfirmed = |error| AppendError::Unconfirmed { source: Arc::new(error) };
        within(async { transaction.commit().await }).await.map_err(unconfirmed)?;
        tracing::info!(%subject, position = %receipt.position, "a subject was erased");
        Ok(receipt)
    }
}

impl Keyring {
    /// [`EventStore::erase`], known to this process at once.
    ///
    /// # Errors
    /// As [`EventStore::erase`].
    pub async fn erase(
        &self,
        subject: &Subject,
        command_id: CommandId,
        metadata: Metadata,
    ) -> Result<Receipt, AppendError> {
        let receipt = self.store.erase(subject, command_id, metadata).await?;
        self.shared.forget([subject]);
        Ok(receipt)
    }
}

fn erasure(subject: &Subject, command_id: CommandId, metadata: Metadata) -> Append {
    let stream = subject.stream();
    let asked = format!("{SUBJECT_ERASED}\n{subject}");
    let payload = serde_json::json!({ "subject": subject }).to_string();
    Append {
        expectations: vec![(stream.clone(), ExpectedVersion::Any)],
        events: vec![NewEvent::new(stream, EventType::new(SUBJECT_ERASED, 1), payload)],
        ..Append::new(command_id, Fingerprint::of(asked.as_bytes()), metadata)
    }
}

/// The key first, which waits for who works on this row; then the append, which takes the order
/// lock of the log, and after it only what waits for nobody.
async fn erase_in(
    store: &EventStore,
    connection: &mut PgConnection,
    subject: &Subject,
    mut append: Append,
) -> Result<Receipt, AppendError> {
    let refused = |error| AppendError::Refused { source: Arc::new(error) };
    let known = EventStore::repeated_in(connection, append.command_id, append.fingerprint).await?;
    if let Some(receipt) = known {
        return Ok(receipt);
    }
    let erased_before = sqlx::query_scalar!(
        r#"
        INSERT INTO eventstore.subject_keys AS k (subject, erased_at)
        VALUES ($1, clock_timestamp())
        ON CONFLICT (subject) DO UPDATE
        SET key_id = NULL,
            wrapped_key = NULL,
            wrapped_by = NULL,
            erased_at = coalesce(k.erased_at, excluded.erased_at)
        RETURNING erased_position IS NOT NULL AS "erased_before!"
        "#,
        subject.as_str(),
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(refused)?;
    if erased_before {
        append.events.clear();
    }
    let receipt = store.append_in(connection, &append).await?;
    if !erased_before && !receipt.repeated {
        sqlx::query!(
            "UPDATE eventstore.subject_keys SET erased_position = $2 WHERE subject = $1",
            subject.as_str(),
            receipt.position.get(),
        )
        .execute(&mut *connection)
        .await
        .map_err(refused)?;
    }
    sqlx::query!("DELETE FROM eventstore.claims WHERE subject = $1", subject.as_str())
        .execute(&mut *connection)
        .await
        .map_err(refused)?;
    sqlx::query!("SELECT pg_notify($1, '')", CHANNEL)
        .execute(&mut *connection)
        .await
        .map_err(refused)?;
    Ok(receipt)
}
