//! Secrets of API keys.

use chrono::{DateTime, Utc};
use domain::ids::{ApiKeyId, UserId};
use sqlx::PgConnection;

use super::SecretError;
use crate::opaque_token::TokenDigest;

/// Most API keys that a user has at a time.
const MOST: i64 = 100;

pub(super) async fn create(
    connection: &mut PgConnection,
    (key, user): (ApiKeyId, UserId),
    digest: &TokenDigest,
    expires_at: Option<DateTime<Utc>>,
) -> Result<(), SecretError> {
    let made = sqlx::query!(
        "
                    WITH made AS (
                        INSERT INTO identity.api_keys (key_id, user_id, expires_at)
                        SELECT $1, $2, $3
                        WHERE (SELECT count(*) FROM identity.api_keys WHERE user_id = $2) < $4
                        RETURNING key_id
                    )
                    INSERT INTO identity.api_key_secrets (key_id, number, digest)
                    SELECT key_id, 1, $5 FROM made
                    ",
        key.get(),
        user.get(),
        expires_at,
        MOST,
        digest.as_bytes(),
    );
    if made.execute(connection).await?.rows_affected() == 0 {
        return Err(SecretError::TooManyApiKeys);
    }
    Ok(())
}

pub(super) async fn rotate(
    connection: &mut PgConnection,
    (key, number): (ApiKeyId, u32),
    digest: &TokenDigest,
    first_kept: u32,
) -> Result<(), SecretError> {
    let number = i64::from(number);
    let made = sqlx::query!(
        "
                    INSERT INTO identity.api_key_secrets (key_id, number, digest)
                    SELECT key_id, $2, $3 FROM identity.api_keys WHERE key_id = $1
                    ON CONFLICT (key_id, number) DO NOTHING
                    ",
        key.get(),
        number,
        digest.as_bytes(),
    );
    if made.execute(&mut *connection).await?.rows_affected() == 0 {
        return Err(SecretError::ApiKeyRotated(key));
    }
    sqlx::query!(
        "DELETE FROM identity.api_key_secrets WHERE key_id = $1 AND number < $2",
        key.get(),
        i64::from(first_kept),
    )
    .execute(connection)
    .await?;
    Ok(())
}

pub(super) async fn forget(
    connection: &mut PgConnection,
    key: ApiKeyId,
) -> Result<(), SecretError> {
    sqlx::query!("DELETE FROM identity.api_keys WHERE key_id = $1", key.get())
        .execute(connection)
        .await?;
    Ok(())
}
