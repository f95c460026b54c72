//! What is over is not kept.

use eventstore::answer::within;
use sqlx::PgPool;

/// Removes what lets nobody in any more: tokens that are over, and failures of long ago. Answers with
/// how many rows that were.
///
/// # Errors
/// The database cannot be reached.
pub async fn prune(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let mailed = "DELETE FROM identity.mailed_tokens WHERE expires_at < clock_timestamp()";
    // A day later than they could be used: a client with a wrong clock is told the same.
    let refresh = "DELETE FROM identity.refresh_tokens \
                   WHERE expires_at < clock_timestamp() - interval '1 day'";
    let failures = "DELETE FROM identity.failures \
                    WHERE last_at < clock_timestamp() - interval '1 day'";
    let mut removed = 0;
    for statement in [mailed, refresh, failures] {
        removed += within(sqlx::query(statement).execute(pool)).await?.rows_affected();
    }
    Ok(removed)
}
