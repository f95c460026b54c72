//! What is written beside an append, in its transaction.

use chrono::{DateTime, Utc};
use domain::ids::{ApiKeyId, InvitationId, OrganizationId, SessionId, UserId};
use sqlx::PgConnection;

use super::refresh_token::Salt;
use crate::opaque_token::TokenDigest;
use crate::ports::passwords::PasswordHash;

/// Most API keys that a user has at a time.
const MOST_API_KEYS: i64 = 100;

/// One thing that is written.
#[derive(Debug)]
pub(crate) enum Secret<'a> {
    /// How the user proves to be the one from now on; what was mailed to choose another is void.
    Password {
        /// The user.
        user: UserId,
        /// Of the password.
        hash: &'a PasswordHash,
    },
    /// What was mailed is used up.
    Used {
        /// Of the token.
        digest: &'a TokenDigest,
    },
    /// The first refresh token of a session.
    RefreshToken {
        /// The session.
        session: SessionId,
        /// Whose it is.
        user: UserId,
        /// What goes into its tokens.
        salt: &'a Salt,
        /// Now.
        now: DateTime<Utc>,
        /// When it is over if it is not used.
        expires_at: DateTime<Utc>,
    },
    /// Who is invited; an earlier invitation of the same address to the same organization is over.
    Invited {
        /// The invitation.
        invitation: InvitationId,
        /// To what.
        organization: OrganizationId,
        /// A digest of the address.
        address: &'a [u8; 32],
        /// When it is over.
        expires_at: DateTime<Utc>,
    },
    /// An invitation has its answer.
    InvitationOver {
        /// The invitation.
        invitation: InvitationId,
    },
    /// All invitations to an organization are over.
    OrganizationOver {
        /// The organization.
        organization: OrganizationId,
    },
    /// The first secret of an API key.
    ApiKey {
        /// The key.
        key: ApiKeyId,
        /// Whose it is.
        user: UserId,
        /// Of the secret.
        digest: &'a TokenDigest,
        /// When the key is over.
        expires_at: Option<DateTime<Utc>>,
    },
    /// The next secret of an API key.
    ApiKeyRotated {
        /// The key.
        key: ApiKeyId,
        /// Counts its secrets.
        number: u32,
        /// Of the secret.
        digest: &'a TokenDigest,
        /// The first of them that is still needed.
        first_kept: u32,
    },
    /// Nothing is needed of an API key any more.
    ApiKeyGone {
        /// The key.
        key: ApiKeyId,
    },
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    /// Somebody else has used it up.
    #[error("it is used up")]
    Gone,
    /// The user has as many API keys as may be.
    #[error("there are too many API keys")]
    TooManyApiKeys,
    /// Somebody else has given the API key another secret.
    #[error("API key {0} got another secret meanwhile")]
    ApiKeyRotated(ApiKeyId),
    /// The database cannot be reached.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Secret<'_> {
    pub(super) async fn write(&self, connection: &mut PgConnection) -> Result<(), SecretError> {
        match *self {
            Self::Password { user, hash } => {
                sqlx::query!(
                    "
                    INSERT INTO identity.passwords AS kept (user_id, hash)
                    VALUES ($1, $2)
                    ON CONFLICT (user_id) DO UPDATE
                    SET hash = excluded.hash, changed_at = excluded.changed_at
                    ",
                    user.get(),
                    hash.expose(),
                )
                .execute(&mut *connection)
                .await?;
                sqlx::query!(
                    "
                    DELETE FROM identity.mailed_tokens
                    WHERE user_id = $1 AND purpose = 'reset-password'
                    ",
                    user.get(),
                )
                .execute(connection)
                .await?;
            }
            Self::Used { digest } => {
                let used = sqlx::query!(
                    "DELETE FROM identity.mailed_tokens WHERE digest = $1",
                    digest.as_bytes(),
                );
                if used.execute(connection).await?.rows_affected() == 0 {
                    return Err(SecretError::Gone);
                }
            }
            Self::RefreshToken { session, user, salt, now, expires_at } => {
                sqlx::query!(
                    "
                    INSERT INTO identity.refresh_tokens
                        (session_id, user_id, salt, rotated_at, used_at, expires_at)
                    VALUES ($1, $2, $3, $4, $4, $5)
                    ",
                    session.get(),
                    user.get(),
                    salt.as_slice(),
                    now,
                    expires_at,
                )
                .execute(connection)
                .await?;
            }
            Self::Invited { .. } | Self::InvitationOver { .. } | Self::OrganizationOver { .. } => {
                self.write_of_invitation(connection).await?;
            }
            Self::ApiKey { .. } | Self::ApiKeyRotated { .. } | Self::ApiKeyGone { .. } => {
                self.write_of_api_key(connection).await?;
            }
        }
        Ok(())
    }

    async fn write_of_api_key(&self, connection: &mut PgConnection) -> Result<(), SecretError> {
        match *self {
            Self::ApiKey { key, user, digest, expires_at } => {
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
                    MOST_API_KEYS,
                    digest.as_bytes(),
                );
                if made.execute(connection).await?.rows_affected() == 0 {
                    return Err(SecretError::TooManyApiKeys);
                }
            }
            Self::ApiKeyRotated { key, number, digest, first_kept } => {
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
            }
            Self::ApiKeyGone { key } => {
                sqlx::query!("DELETE FROM identity.api_keys WHERE key_id = $1", key.get())
                    .execute(connection)
                    .await?;
            }
            _ => {}
        }
        Ok(())
    }

    async fn write_of_invitation(&self, connection: &mut PgConnection) -> Result<(), SecretError> {
        match *self {
            Self::Invited { invitation, organization, address, expires_at } => {
                sqlx::query!(
                    "
                    UPDATE identity.invitations SET is_over = true
                    WHERE organization_id = $1 AND address = $2 AND NOT is_over
                    ",
                    organization.get(),
                    &address[..],
                )
                .execute(&mut *connection)
                .await?;
                // There already is one if the command is a repeated one, and is rolled back.
                sqlx::query!(
                    "
                    INSERT INTO identity.invitations
                        (invitation_id, organization_id, address, expires_at)
                    VALUES ($1, $2, $3, $4)
                    ON CONFLICT (invitation_id) DO NOTHING
                    ",
                    invitation.get(),
                    organization.get(),
                    &address[..],
                    expires_at,
                )
                .execute(connection)
                .await?;
            }
            Self::InvitationOver { invitation } => {
                sqlx::query!(
                    "UPDATE identity.invitations SET is_over = true WHERE invitation_id = $1",
                    invitation.get(),
                )
                .execute(connection)
                .await?;
            }
            Self::OrganizationOver { organization } => {
                sqlx::query!(
                    "
                    UPDATE identity.invitations SET is_over = true
                    WHERE organization_id = $1 AND NOT is_over
                    ",
                    organization.get(),
                )
                .execute(connection)
                .await?;
            }
            _ => {}
        }
        Ok(())
    }
}
