//! The database: how to reach it, and whether its schema is the one of this version.

use std::time::Duration;

use anyhow::{Context as _, bail};
use eventstore::answer::{pool_options, within};
use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgConnection, PgPool};

use crate::config::Database;

/// Everything that is not disposable, in the order it came to be.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// Connects, and fails if the database cannot be reached now.
///
/// # Errors
/// No URL is set, it cannot be read, or nobody answers there.
pub async fn connect(database: &Database) -> anyhow::Result<PgPool> {
    let (options, place) = options(database.url.as_ref())?;
    // A pool says only that it waited; one connection says why.
    within(async { PgConnection::connect_with(&options).await?.close().await })
        .await
        .with_context(|| format!("cannot connect to PostgreSQL at {place}"))?;
    pool(database, database.max_connections)
        .connect_with(options)
        .await
        .with_context(|| format!("cannot connect to PostgreSQL at {place}"))
}

/// Connections for queries of the API: the server ends a statement whose request is over, so that
/// nobody else waits behind it. They are made when they are needed.
///
/// # Errors
/// As [`connect`], but for whether somebody answers.
pub fn for_queries(database: &Database, deadline: Duration) -> anyhow::Result<PgPool> {
    let url = database.query_url.as_ref().or(database.url.as_ref());
    let (options, _) = options(url)?;
    let limit = format!("{}ms", deadline.as_millis());
    // A role that only reads, and sees of tenants what each query says that it asks for.
    let options =
        options.options([("statement_timeout", limit.as_str()), ("role", projections::ROLE)]);
    Ok(pool(database, database.query_connections).connect_lazy_with(options))
}

/// Refuses connections for queries that are not of the role that only reads.
///
/// # Errors
/// They are of another: what is between the process and the database has dropped what they begin with.
pub async fn check_queries(pool: &PgPool) -> anyhow::Result<()> {
    let role: String = sqlx::query_scalar("SELECT current_user::text").fetch_one(pool).await?;
    if role == projections::ROLE {
        return Ok(());
    }
    bail!(
        "queries are asked as {role} and not as {}: set `database.query_url` to where they are",
        projections::ROLE
    )
}

fn pool(database: &Database, connections: u32) -> PgPoolOptions {
    pool_options()
        .max_connections(connections)
        .acquire_timeout(Duration::from_millis(database.acquire_timeout_ms))
}

/// How to connect, and where that is.
fn options(url: Option<&SecretString>) -> anyhow::Result<(PgConnectOptions, String)> {
    let Some(url) = url else {
        bail!("no database is set: set DATABASE_URL, or start everything with `annals dev`");
    };
    let options: PgConnectOptions =
        url.expose_secret().parse().context("`database.url` cannot be read")?;
    let place = format!("{}:{}", options.get_host(), options.get_port());
    // Whoever is frozen in a transaction may hold the order lock of the log, and all writers wait.
    let options =
        options.application_name("annals").options([("idle_in_transaction_session_timeout", "5s")]);
    Ok((options, place))
}

/// Brings the schema to this version, and makes the tables of new read models.
///
/// # Errors
/// The database is of a later version, or refuses.
pub async fn migrate(pool: &PgPool) -> anyhow::Result<()> {
    MIGRATOR.run(pool).await.context("cannot migrate the database")?;
    projections::prepare(pool, projections::ALL).await.context("cannot make the read models")
}

/// Refuses a database whose schema is not the one of this version.
///
/// # Errors
/// It is older, newer or another one; the sentence says what to do.
pub async fn check_schema(pool: &PgPool) -> anyhow::Result<()> {
    let wanted = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default();
    let applied: Result<Option<i64>, sqlx::Error> =
        sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
            .fetch_one(pool)
            .await;
    match applied {
        Ok(Some(applied)) if applied == wanted => Ok(()),
        Ok(Some(applied)) if applied > wanted => bail!(
            "the database has schema version {applied}, this annals knows {wanted}: run a newer annals"
        ),
        Ok(applied) => bail!(
            "the database has schema version {}, this annals needs {wanted}: run `annals migrate`",
            applied.unwrap_or_default()
        ),
        // 42P01: there is no such table.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42P01") => {
            bail!("the database has no schema of Annals: run `annals migrate`")
        }
        Err(error) => Err(error).context("cannot read the schema version"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A statement that nobody waits for any more must not keep a connection from others.
    #[tokio::test]
    async fn what_a_query_left_behind_ends_with_its_deadline() {
        let database = testkit::TestDatabase::create(&MIGRATOR).await;
        let settings = Database {
            url: Some(database.url().to_owned().into()),
            query_url: None,
            max_connections: 5,
            query_connections: 1,
            acquire_timeout_ms: 30_000,
        };
        let deadline = Duration::from_millis(300);
        let pool = for_queries(&settings, deadline).unwrap();
        let endless = sqlx::query("SELECT pg_sleep(86400)").execute(&pool);
        assert!(tokio::time::timeout(deadline, endless).await.is_err(), "its request is over");
        let next: i32 = sqlx::query_scalar("SELECT 1").fetch_one(&pool).await.unwrap();
        assert_eq!(next, 1);
    }

    /// Somebody frozen between two statements of a transaction that holds the order lock must not
    /// stop all writers for good.
    #[tokio::test]
    async fn who_is_frozen_in_a_transaction_is_ended_and_others_go_on() {
        let database = testkit::TestDatabase::create(&MIGRATOR).await;
        let settings = Database {
            url: Some(database.url().to_owned().into()),
            query_url: None,
            max_connections: 5,
            query_connections: 1,
            acquire_timeout_ms: 30_000,
        };
        let pool = connect(&settings).await.unwrap();
        let lock = "SELECT pg_advisory_xact_lock(1)";
        let mut frozen = pool.begin().await.unwrap();
        sqlx::query(lock).execute(&mut *frozen).await.unwrap();

        let mut other = database.pool().begin().await.unwrap();
        sqlx::query(lock).execute(&mut *other).await.unwrap();
        assert!(sqlx::query("SELECT 1").execute(&mut *frozen).await.is_err(), "it was ended");
    }
}
