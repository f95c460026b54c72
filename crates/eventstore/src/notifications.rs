//! Connections that hear notifications, and no others.
//!
//! A pooler that gives each transaction another connection, as PgBouncer in transaction mode,
//! lets everybody say `LISTEN`. It takes effect on whatever connection it happens to be on: who
//! listens hears nothing, and who has that connection later finds notifications in the middle of
//! answers, which breaks the protocol for them. No error tells of it, so it is asked before.
//!
//! A server keeps whatever setting a session begins with. Such a pooler cannot: it refuses one that
//! it does not know, or forgets it.

use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

/// A setting that means nothing to anybody.
const MARK: &str = "eventstore.own_session";

/// A connection of its own that listens on `channel`; `None` where nothing would be heard.
///
/// It does not connect again by itself: [`PgListener::try_recv`] answers `None` when it is lost.
///
/// # Errors
/// The database cannot be reached.
pub(crate) async fn listen(
    pool: &PgPool,
    channel: &str,
) -> Result<Option<PgListener>, sqlx::Error> {
    let options = (*pool.connect_options()).clone();
    let mut listener = match connect(options.options([(MARK, "on")])).await {
        Ok(listener) => listener,
        Err(error) if is_refusal_of_a_pooler(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    let mark = sqlx::query_scalar!("SELECT current_setting($1, true)", MARK);
    let mark = mark.fetch_one(&mut listener).await?;
    if mark.as_deref() != Some("on") {
        return Ok(None);
    }
    listener.listen(channel).await?;
    Ok(Some(listener))
}

/// A connection of its own that listens to nothing.
///
/// # Errors
/// The database cannot be reached.
pub(crate) async fn deaf(pool: &PgPool) -> Result<PgListener, sqlx::Error> {
    connect((*pool.connect_options()).clone()).await
}

async fn connect(options: PgConnectOptions) -> Result<PgListener, sqlx::Error> {
    // No time limits of a pool: it is only the way to a listener.
    let own = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_with(options)
        .await?;
    let mut listener = PgListener::connect_with(&own).await?;
    listener.ignore_pool_close_event(true);
    listener.eager_reconnect(false);
    Ok(listener)
}

/// `protocol_violation` is what poolers say of settings that they do not know; a server has no
/// reason to say it here.
fn is_refusal_of_a_pooler(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.as_deref() == Some("08P01")
}
