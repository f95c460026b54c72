//! What is over is not kept.

use eventstore::answer::within;
use sqlx::PgPool;

/// What lets nobody in any more: tokens that are over, failures of long ago, and all that was kept of
/// who is erased.
const OVER: [&str; 7] = [
    "DELETE FROM identity.mailed_tokens WHERE expires_at < clock_timestamp()",
    // A day later than they could be used: a client with a wrong clock is told the same.
    "DELETE FROM identity.refresh_tokens WHERE expires_at < clock_timestamp() - interval '1 day'",
    "DELETE FROM identity.pending_second_factors WHERE expires_at < clock_timestamp()",
    "DELETE FROM identity.external_logins WHERE expires_at < clock_timestamp()",
    "DELETE FROM identity.failures WHERE last_at < clock_timestamp() - interval '1 day'",
    // So much later that their owners see why they are refused.
    "DELETE FROM identity.api_keys WHERE expires_at < clock_timestamp() - interval '30 days'",
    "
    WITH erased AS (
        SELECT substr(subject, 6)::uuid AS user_id
        FROM eventstore.subject_keys
        WHERE erased_position IS NOT NULL AND subject ~ '^user:[0-9a-f-]{36}$'
    ), tokens AS (
        DELETE FROM identity.refresh_tokens AS kept USING erased
        WHERE kept.user_id = erased.user_id
    ), keys AS (
        DELETE FROM identity.api_keys AS kept USING erased
        WHERE kept.user_id = erased.user_id
    ), mailed AS (
        DELETE FROM identity.mailed_tokens AS kept USING erased
        WHERE kept.user_id = erased.user_id
    ), devices AS (
        DELETE FROM identity.devices AS kept USING erased
        WHERE kept.user_id = erased.user_id
    ), recovery AS (
        DELETE FROM identity.recovery_codes AS kept USING erased
        WHERE kept.user_id = erased.user_id
    ), pending AS (
        DELETE FROM identity.pending_second_factors AS kept USING erased
        WHERE kept.user_id = erased.user_id
    ), second_factors AS (
        DELETE FROM identity.second_factors AS kept USING erased
        WHERE kept.user_id = erased.user_id
    )
    DELETE FROM identity.passwords AS kept USING erased
    WHERE kept.user_id = erased.user_id
    ",
];

/// Removes what is [over](self). Answers with how many rows that were, or nearly.
///
/// # Errors
/// The database cannot be reached.
pub async fn prune(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let mut removed = 0;
    for statement in OVER {
        removed += within(sqlx::query(statement).execute(pool)).await?.rows_affected();
    }
    Ok(removed)
}
