//! What is written beside an append, in its transaction.

use chrono::{DateTime, Utc};
use domain::ids::{SessionId, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

use super::refresh_token::Salt;
use super::second_factor::RightCode;
use crate::opaque_token::TokenDigest;
use crate::ports::passwords::PasswordHash;
use crate::second_factor::{RecoveryDigest, TotpStep};

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
    /// The database cannot be reached.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Secret<'_> {
    #[expect(clippy::too_many_lines, reason = "a list of statements, one for each secret")]
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
            Self::Code { user, right } => use_up(connection, user, right).await?,
            Self::SecondFactor { user, enrolment, step, now } => {
                let confirmed = sqlx::query!(
                    "
                    WITH confirmed AS (
                        DELETE FROM identity.pending_second_factors
                        WHERE user_id = $1 AND enrolment = $2 AND expires_at > $4
                        RETURNING user_id, enrolment, seed
                    )
                    INSERT INTO identity.second_factors (user_id, enrolment, seed, last_step)
                    SELECT user_id, enrolment, seed, $3 FROM confirmed
                    -- One that is in use is none that the domain lets be replaced.
                    ON CONFLICT (user_id) DO UPDATE
                    SET enrolment = excluded.enrolment,
                        seed = excluded.seed,
                        last_step = excluded.last_step,
                        confirmed_at = excluded.confirmed_at
                    ",
                    user.get(),
                    enrolment,
                    number(step),
                    now,
                );
                if confirmed.execute(connection).await?.rows_affected() == 0 {
                    return Err(SecretError::CodeGone);
                }
            }
            Self::RecoveryCodes { user, digests } => {
                forget_recovery_codes(connection, user).await?;
                let digests: Vec<_> =
                    digests.iter().map(|digest| digest.as_bytes().to_vec()).collect();
                sqlx::query!(
                    "
                    INSERT INTO identity.recovery_codes (user_id, digest)
                    SELECT $1, digest FROM unnest($2::bytea[]) AS given (digest)
                    ",
                    user.get(),
                    &digests,
                )
                .execute(connection)
                .await?;
            }
            Self::NoSecondFactor { user } => {
                sqlx::query!("DELETE FROM identity.second_factors WHERE user_id = $1", user.get())
                    .execute(&mut *connection)
                    .await?;
                sqlx::query!(
                    "DELETE FROM identity.pending_second_factors WHERE user_id = $1",
                    user.get(),
                )
                .execute(&mut *connection)
                .await?;
                forget_recovery_codes(connection, user).await?;
            }
        }
        Ok(())
    }
}

async fn use_up(
    connection: &mut PgConnection,
    user: UserId,
    right: &RightCode,
) -> Result<(), SecretError> {
    let written = match right {
        // Whoever else has it waits here for the end of this transaction, and then finds it used.
        RightCode::Step { enrolment, step } => {
            sqlx::query!(
                "
                UPDATE identity.second_factors SET last_step = $3
                WHERE user_id = $1 AND enrolment = $2 AND last_step < $3
                ",
                user.get(),
                enrolment,
                number(*step),
            )
            .execute(connection)
            .await?
        }
        RightCode::Recovery(digest) => {
            sqlx::query!(
                "
                WITH factor AS (
                    -- In the order in which others lock.
                    SELECT user_id FROM identity.second_factors WHERE user_id = $1 FOR UPDATE
                )
                DELETE FROM identity.recovery_codes AS kept USING factor
                WHERE kept.user_id = factor.user_id AND kept.digest = $2
                ",
                user.get(),
                digest.as_bytes(),
            )
            .execute(connection)
            .await?
        }
    };
    if written.rows_affected() == 0 { Err(SecretError::CodeGone) } else { Ok(()) }
}

async fn forget_recovery_codes(
    connection: &mut PgConnection,
    user: UserId,
) -> Result<(), SecretError> {
    sqlx::query!("DELETE FROM identity.recovery_codes WHERE user_id = $1", user.get())
        .execute(connection)
        .await?;
    Ok(())
}

/// A step as the database counts it.
fn number(step: TotpStep) -> i64 {
    i64::try_from(step.get()).unwrap_or(i64::MAX)
}
