//! The one private PostgreSQL that everybody is measured on.

use eventstore::EventStore;
use eventstore::answer::pool_options;
use sqlx::PgPool;
use sqlx::migrate::Migrator;
use testkit::{Postgres, TestDatabase};

static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// Most connections of anybody.
pub(crate) const CONNECTIONS: u32 = 16;

/// PostgreSQL with fsync on, and room for what is measured.
pub(crate) struct Server(Postgres);

impl Server {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let settings = ["shared_buffers=2GB", "max_wal_size=8GB"];
        Ok(Self(Postgres::start_ephemeral_with(&settings)?))
    }

    /// An empty log.
    pub(crate) async fn database(&self) -> TestDatabase {
        TestDatabase::create_on(&self.0, &MIGRATOR).await
    }

    /// Its own database, to make others in.
    pub(crate) fn url(&self) -> String {
        self.0.url()
    }
}

/// A pool as a product would have it.
pub(crate) async fn pool(url: &str) -> anyhow::Result<PgPool> {
    Ok(pool_options().max_connections(CONNECTIONS).connect(url).await?)
}

/// The store of the log at `url`.
pub(crate) async fn store(url: &str) -> anyhow::Result<EventStore> {
    Ok(EventStore::open(pool(url).await?).await?)
}
