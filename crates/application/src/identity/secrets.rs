//! What is written beside an append, in its transaction.

use chrono::{DateTime, Utc};
use domain::ids::{InvitationId, OrganizationId, SessionId, UserId};
use sqlx::PgConnection;

use super::refresh_token::Salt;
use crate::opaque_token::TokenDigest;
use crate::ports::passwords::PasswordHash;

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
        }
        Ok(())
    }
}
