//! The scratch database: fresh for each run, with a random name, dropped at the end.

use anyhow::{Context as _, Result};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};
use uuid::Uuid;

#[derive(Clone, Debug)]
pub(crate) struct Scratch {
    server_url: String,
    name: String,
}

impl Scratch {
    /// Makes a database on the server at `server_url`.
    pub(crate) async fn create(server_url: &str) -> Result<Self> {
        let name = format!("peers_{}", Uuid::new_v4().simple());
        let scratch = Self { server_url: server_url.to_owned(), name };
        scratch.administer(format!("CREATE DATABASE {}", scratch.name)).await?;
        Ok(scratch)
    }

    /// The URL it was made with, which names another database.
    pub(crate) fn server_url(&self) -> &str {
        &self.server_url
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Does at once what autovacuum would do soon in any database that lives longer than a run:
    /// without statistics every peer would be measured with the plans of an empty table.
    pub(crate) async fn settle(&self) -> Result<()> {
        let mut connection = self.connection().await?;
        sqlx::query("VACUUM (ANALYZE)").execute(&mut connection).await?;
        Ok(connection.close().await?)
    }

    /// A connection of one's own, beside those of the peer.
    pub(crate) async fn connection(&self) -> Result<PgConnection> {
        self.connect(true).await
    }

    /// Changes a setting of the server for whoever connects to this database from now on.
    pub(crate) async fn set(&self, setting: &str, value: &str) -> Result<()> {
        self.administer(format!("ALTER DATABASE {} SET {setting} = {value}", self.name)).await
    }

    /// Drops it, with whoever is still connected.
    pub(crate) async fn drop(self) -> Result<()> {
        self.administer(format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)).await
    }

    async fn administer(&self, statement: String) -> Result<()> {
        let mut connection = self.connect(false).await?;
        let done = sqlx::query(AssertSqlSafe(statement.as_str())).execute(&mut connection).await;
        done.with_context(|| format!("cannot {statement}"))?;
        Ok(connection.close().await?)
    }

    async fn connect(&self, inside: bool) -> Result<PgConnection> {
        let mut options: PgConnectOptions =
            self.server_url.parse().context("--database-url cannot be read")?;
        if inside {
            options = options.database(&self.name);
        }
        options.connect().await.context("cannot connect to PostgreSQL")
    }
}
