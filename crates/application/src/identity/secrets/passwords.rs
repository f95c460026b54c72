//! How users prove to be the ones.

use domain::ids::UserId;
use sqlx::PgConnection;

use super::SecretError;
use crate::ports::passwords::PasswordHash;

pub(super) async fn keep(
    connection: &mut PgConnection,
    user: UserId,
    hash: &PasswordHash,
) -> Result<(), SecretError> {
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
    Ok(())
}

pub(super) async fn forget(connection: &mut PgConnection, user: UserId) -> Result<(), SecretError> {
    for of_user in [
        sqlx::query!("DELETE FROM identity.passwords WHERE user_id = $1", user.get()),
        sqlx::query!("DELETE FROM identity.mailed_tokens WHERE user_id = $1", user.get()),
    ] {
        of_user.execute(&mut *connection).await?;
    }
    Ok(())
}
