//! Seeds and codes of second factors.

use chrono::{DateTime, Utc};
use domain::ids::UserId;
use sqlx::PgConnection;
use uuid::Uuid;

use super::SecretError;
use crate::identity::second_factor::RightCode;
use crate::second_factor::{RecoveryDigest, TotpStep};

pub(super) async fn confirm(
    connection: &mut PgConnection,
    user: UserId,
    (enrolment, step): (Uuid, TotpStep),
    now: DateTime<Utc>,
) -> Result<(), SecretError> {
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
    Ok(())
}

pub(super) async fn replace_recovery_codes(
    connection: &mut PgConnection,
    user: UserId,
    digests: &[RecoveryDigest],
) -> Result<(), SecretError> {
    forget_recovery_codes(&mut *connection, user).await?;
    let digests: Vec<_> = digests.iter().map(|digest| digest.as_bytes().to_vec()).collect();
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
    Ok(())
}

pub(super) async fn forget(connection: &mut PgConnection, user: UserId) -> Result<(), SecretError> {
    sqlx::query!("DELETE FROM identity.second_factors WHERE user_id = $1", user.get())
        .execute(&mut *connection)
        .await?;
    sqlx::query!("DELETE FROM identity.pending_second_factors WHERE user_id = $1", user.get(),)
        .execute(&mut *connection)
        .await?;
    forget_recovery_codes(connection, user).await?;
    Ok(())
}

pub(super) async fn use_up(
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
