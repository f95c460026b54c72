//! The connections of a peer: the same for all, from whichever version of sqlx it is built on.
//!
//! As many as `--connections` says, all opened before anything is measured. The pool does not ask the server whether a
//! connection still lives each time it hands one out (`test_before_acquire`): that would add a
//! round trip to every operation of every peer, and connections to a server that runs do live.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::args::Settings;
use crate::scratch::Scratch;

/// With many more tasks than connections, waiting is no failure.
const PATIENCE: Duration = Duration::from_mins(1);

/// For peers built on sqlx 0.8.
pub(crate) async fn sqlx08(scratch: &Scratch, settings: Settings) -> Result<sqlx08::PgPool> {
    let options: sqlx08::postgres::PgConnectOptions =
        scratch.server_url().parse().context("--database-url cannot be read")?;
    sqlx08::postgres::PgPoolOptions::new()
        .min_connections(settings.connections)
        .max_connections(settings.connections)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .connect_with(options.database(scratch.name()))
        .await
        .context("cannot connect to the scratch database")
}

/// For peers built on sqlx 0.9.
pub(crate) async fn sqlx09(scratch: &Scratch, settings: Settings) -> Result<sqlx::PgPool> {
    let options: sqlx::postgres::PgConnectOptions =
        scratch.server_url().parse().context("--database-url cannot be read")?;
    sqlx::postgres::PgPoolOptions::new()
        .min_connections(settings.connections)
        .max_connections(settings.connections)
        .acquire_timeout(PATIENCE)
        .test_before_acquire(false)
        .connect_with(options.database(scratch.name()))
        .await
        .context("cannot connect to the scratch database")
}
