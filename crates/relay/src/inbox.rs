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

/// Drops the marks of days into which none came for `keep_days` days, of all consumers; answers with
/// how many days that were. A message of such a day that is delivered again takes effect again.
///
/// Whoever holds one of them is not waited for: the next call tries it again.
///
/// # Errors
/// The database cannot be reached.
pub async fn retire(pool: &PgPool, keep_days: NonZeroU16) -> Result<i32, sqlx::Error> {
    let retired = sqlx::query_scalar!(
        r#"SELECT relay.retire_inbox($1) AS "days!""#,
        i32::from(keep_days.get())
    );
    within(retired.fetch_one(pool)).await
}
