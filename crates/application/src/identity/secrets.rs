//! What is written beside an append, in its transaction.

use chrono::{DateTime, Utc};
use domain::ids::{SessionId, UserId};
use sqlx::PgConnection;

use super::refresh_token::Salt;
use crate::opaque_token::TokenDigest;
use crate::ports::passwords::PasswordHash;

/// One thing that is written.
#[derive(Debug)]
pub(super) enum Secret<'a> {
    /// How the user proves to be the one from now on; what was mailed to choose another is void.
    Password {
        /// The user.
        user: UserId,
        /// Of the password.
        hash: &'a PasswordHash,
    },
    /// The user has no password, and what was mailed is void.
    NoPassword {
        /// The user.
        user: UserId,
    },
    /// The login at a provider that was begun is completed.
    ExternalLogin {
        /// As it is kept.
        state: &'a [u8; 32],
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
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    /// Somebody else has used it up.
    #[error("it is used up")]
    Gone,
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
            Self::NoPassword { user } => {
                for of_user in [
                    sqlx::query!("DELETE FROM identity.passwords WHERE user_id = $1", user.get()),
                    sqlx::query!(
                        "DELETE FROM identity.mailed_tokens WHERE user_id = $1",
                        user.get()
                    ),
                ] {
                    of_user.execute(&mut *connection).await?;
                }
            }
            Self::ExternalLogin { state } => {
                let used = sqlx::query!(
                    "DELETE FROM identity.external_logins WHERE state = $1",
                    &state[..],
                );
                if used.execute(connection).await?.rows_affected() == 0 {
                    return Err(SecretError::Gone);
                }
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
        }
        Ok(())
    }
}
