//! The partitions of the inbox: one for the marks of each day of messages.
//!
//! Consumers make those that they need. Nobody drops one by itself: whoever runs consumers calls
//! [`retire`] every now and then, once for all consumers of a database.

use std::num::NonZeroU16;

use chrono::NaiveDate;
use eventstore::answer::within;
use sqlx::PgPool;

/// Makes sure that marks of messages of `days` have a partition. Safe to repeat, and at the same time.
///
/// # Errors
/// The database cannot be reached.
pub async fn prepare(pool: &PgPool, days: &[NaiveDate]) -> Result<(), sqlx::Error> {
    let prepared = sqlx::query!("SELECT relay.prepare_inbox($1)", days);
    within(prepared.execute(pool)).await.map(drop)
}

/// What became of an attempt to drop days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retired {
    /// Days whose marks are gone.
    pub dropped: i32,
    /// Days that are old enough, but whose marks somebody holds.
    pub left: i64,
}

/// Drops the marks of days into which none came for `keep_days` days, of all consumers. A message of
/// such a day that is delivered again takes effect again.
///
/// Whoever holds one of them is not waited for: call it again soon if some are left.
///
/// # Errors
/// The database cannot be reached.
pub async fn retire(pool: &PgPool, keep_days: NonZeroU16) -> Result<Retired, sqlx::Error> {
    let keep_days = i32::from(keep_days.get());
    let dropped = sqlx::query_scalar!(r#"SELECT relay.retire_inbox($1) AS "days!""#, keep_days);
    let dropped = within(dropped.fetch_one(pool)).await?;
    let left = sqlx::query_scalar!(
        r#"
        SELECT count(*) AS "days!"
        FROM relay.inbox_days
        WHERE touched_on < (clock_timestamp() AT TIME ZONE 'UTC')::date - $1::integer
        "#,
        keep_days,
    );
    Ok(Retired { dropped, left: within(left.fetch_one(pool)).await? })
}
