//! What is written beside an append, in its transaction.

mod api_keys;
mod invitations;
mod passwords;
mod second_factors;

use chrono::{DateTime, Utc};
use domain::ids::{ApiKeyId, InvitationId, OrganizationId, SessionId, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::refresh_token::Salt;
use super::second_factor::RightCode;
use crate::opaque_token::TokenDigest;
use crate::ports::passwords::PasswordHash;
use crate::second_factor::{RecoveryDigest, TotpStep};

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
    /// A session is from there, perhaps the first.
    Device {
        /// The user.
        user: UserId,
        /// Of program and network.
        digest: &'a [u8; 32],
        /// The session.
        session: SessionId,
        /// Now.
        now: DateTime<Utc>,
    },
    /// A code is used up.
    Code {
        /// The user.
        user: UserId,
        /// What it was.
        right: &'a RightCode,
    },
    /// The seed that a code has confirmed is the second factor.
    SecondFactor {
        /// The user.
        user: UserId,
        /// Which seed.
        enrolment: Uuid,
        /// Of which moment the code was, which is used up.
        step: TotpStep,
        /// Now.
        now: DateTime<Utc>,
    },
    /// The codes for when the device is lost, instead of those of before.
    RecoveryCodes {
        /// The user.
        user: UserId,
        /// Of each.
        digests: &'a [RecoveryDigest],
    },
    /// The second factor, and what goes with it, is gone.
    NoSecondFactor {
        /// The user.
        user: UserId,
    },
}

/// Why nothing was written.
#[derive(Debug, thiserror::Error)]
pub(super) enum SecretError {
    /// Somebody else has used it up.
    #[error("it is used up")]
    Gone,
    /// The code was used by somebody else, or is of a second factor that is no more.
    #[error("the code is used up")]
    CodeGone,
    /// The user has as many API keys as may be.
    #[error("there are too many API keys")]
    TooManyApiKeys,
    /// Somebody else has given the API key another secret.
    #[error("API key {0} got another secret meanwhile")]
    ApiKeyRotated(ApiKeyId),
    /// An address, or by an organization, was invited as often as may be in a day.
    #[error("there were too many invitations")]
    TooManyInvitations,
    /// The database cannot be reached.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Secret<'_> {
    pub(super) async fn write(&self, connection: &mut PgConnection) -> Result<(), SecretError> {
        match *self {
            Self::Password { user, hash } => passwords::keep(connection, user, hash).await?,
            Self::NoPassword { user } => passwords::forget(connection, user).await?,
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
            Self::Device { user, digest, session, now } => {
                sqlx::query!(
                    "
                    INSERT INTO identity.devices (user_id, digest, first_session, first_at)
                    VALUES ($1, $2, $3, $4)
                    ON CONFLICT (user_id, digest) DO NOTHING
                    ",
                    user.get(),
                    &digest[..],
                    session.get(),
                    now,
                )
                .execute(connection)
                .await?;
            }
            Self::ApiKey { key, user, digest, expires_at } => {
                api_keys::create(connection, (key, user), digest, expires_at).await?;
            }
            Self::ApiKeyRotated { key, number, digest, first_kept } => {
                api_keys::rotate(connection, (key, number), digest, first_kept).await?;
            }
            Self::ApiKeyGone { key } => api_keys::forget(connection, key).await?,
            Self::Invited { invitation, organization, address, expires_at } => {
                let id = (invitation, organization);
                invitations::invite(connection, id, address, expires_at).await?;
            }
            Self::InvitationOver { invitation } => {
                invitations::end(connection, invitation).await?;
            }
            Self::OrganizationOver { organization } => {
                invitations::end_all(connection, organization).await?;
            }
            Self::Code { user, right } => second_factors::use_up(connection, user, right).await?,
            Self::SecondFactor { user, enrolment, step, now } => {
                second_factors::confirm(connection, user, (enrolment, step), now).await?;
            }
            Self::RecoveryCodes { user, digests } => {
                second_factors::replace_recovery_codes(connection, user, digests).await?;
            }
            Self::NoSecondFactor { user } => second_factors::forget(connection, user).await?,
        }
        Ok(())
    }
}
