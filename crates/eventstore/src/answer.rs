//! How long an answer of the database is waited for.
//!
//! A connection can go silent without an end: the host lost power, a firewall forgot it. Nobody
//! tells its user, so whoever waits for an answer waits for a while and no longer; the connection
//! is not used again.

use std::future::Future;
use std::io;
use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use sqlx::{Connection as _, PgPool, Postgres, SqlSafeStr, Transaction};

/// Longer than any answer takes that is still to come.
pub const ANSWER: Duration = Duration::from_secs(10);

/// How long a connection rests before it is asked whether it is still there.
pub const RESTED: Duration = Duration::from_secs(10);

/// Does `work`, which asks the database, for at most [`ANSWER`].
///
/// # Errors
/// What `work` says, or [`sqlx::Error::Io`] of kind `TimedOut`: what was sent may have taken
/// effect or not.
pub async fn within<T, E: From<sqlx::Error>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    match tokio::time::timeout(ANSWER, work).await {
        Ok(answer) => answer,
        Err(_) => Err(E::from(silent())),
    }
}

/// Begins a transaction with `statement` (`BEGIN`, as a rule) on a connection of `pool`; dropping
/// the future at any point is safe.
///
/// [`sqlx::Pool::begin`] is not (sqlx 0.9.0, <https://github.com/transact-rs/sqlx/issues/4393>):
/// dropped before its answer it gives back a connection that is in a transaction, in which the next
/// user's statements then stay without a commit, with all that they lock. So the beginning is a
/// task, which nobody drops in the middle; a transaction that is not wanted any more is rolled back.
///
/// # Errors
/// There is no connection, or the server refuses the statement.
pub async fn begin(
    pool: &PgPool,
    statement: impl SqlSafeStr,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let (pool, statement) = (pool.clone(), statement.into_sql_str());
    let begun = tokio::spawn(async move { pool.begin_with(statement).await });
    begun.await.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

/// Options of a pool that asks a connection whether it is still there only if it has rested for
/// [`RESTED`]: otherwise each use would cost a round trip more.
#[must_use]
pub fn pool_options() -> PgPoolOptions {
    PgPoolOptions::new().test_before_acquire(false).before_acquire(|connection, meta| {
        Box::pin(async move {
            if meta.idle_for >= RESTED {
                connection.ping().await?;
            }
            Ok(true)
        })
    })
}

/// Nobody answers.
pub(crate) fn silent() -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "the database does not answer"))
}
