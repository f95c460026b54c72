//! A migrated database for each test, in some tens of milliseconds.
//!
//! Migrations run once per server and set of migrations, into a template; a test's database
//! is a copy of it (`CREATE DATABASE … TEMPLATE`). The template gets its name only when it
//! is complete, so nobody copies a half-made one, and processes that share an external
//! server make it once, by an advisory lock.

use std::thread;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, PgPool};
use url::Url;
use uuid::Uuid;

use crate::shared::{is_postgres_external, postgres_url};
use crate::{Postgres, random};

/// Any number, the same in every process: "annals" in ASCII.
const TEMPLATE_LOCK: i64 = 0x61_6e_6e_61_6c_73;

/// A database that only one test uses; dropped with this value.
#[derive(Debug)]
pub struct TestDatabase {
    pool: PgPool,
    url: String,
    admin_url: String,
    name: String,
    /// The server outlives this process, so the database must not be left there.
    is_external: bool,
}

impl TestDatabase {
    /// Makes a database with the migrations of `migrator` on the server shared by this
    /// process's tests: [`postgres_url`].
    ///
    /// # Panics
    /// No server can be started, or a migration fails.
    pub async fn create(migrator: &Migrator) -> Self {
        Self::create_at(postgres_url(), migrator, is_postgres_external()).await
    }

    /// Makes a database with the migrations of `migrator` on a server of the test's own,
    /// which it may then kill, freeze and restart.
    ///
    /// # Panics
    /// The server does not answer, or a migration fails.
    pub async fn create_on(postgres: &Postgres, migrator: &Migrator) -> Self {
        Self::create_at(&postgres.url(), migrator, false).await
    }

    async fn create_at(admin_url: &str, migrator: &Migrator, is_external: bool) -> Self {
        let name = unique_name("annals_test_");
        let made = make(admin_url, migrator, &name).await;
        made.unwrap_or_else(|error| panic!("make test database {name}: {error}"));
        let url = with_database(admin_url, &name);
        let pool = PgPoolOptions::new()
            .max_connections(16)
            .acquire_timeout(Duration::from_secs(30))
            .connect_lazy_with(options(&url));
        Self { pool, url, admin_url: admin_url.to_owned(), name, is_external }
    }

    /// A pool of up to 16 connections, bound to the runtime of the test that made this.
    #[must_use]
    pub fn pool(&self) -> PgPool {
        self.pool.clone()
    }

    /// The connection URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The name of the database on its server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TestDatabase {
    /// Drops the database with whoever is still connected, as far as it can: a server that
    /// the test has killed keeps it.
    fn drop(&mut self) {
        let (admin_url, name) = (self.admin_url.clone(), self.name.clone());
        // The test's runtime may be ending, so this needs one of its own.
        let dropper = thread::Builder::new().name("drop-database".to_owned()).spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build()
            else {
                return;
            };
            let work = async {
                let mut connection = options(&admin_url).connect().await?;
                execute(&mut connection, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
                    .await?;
                connection.close().await
            };
            let _ = runtime
                .block_on(async { tokio::time::timeout(Duration::from_secs(10), work).await });
        });
        if let (true, Ok(dropper)) = (self.is_external, dropper) {
            let _ = dropper.join();
        }
    }
}

async fn make(admin_url: &str, migrator: &Migrator, name: &str) -> Result<(), sqlx::Error> {
    let mut admin = options(admin_url).connect().await?;
    let template = template_name(migrator);
    if !exists(&mut admin, &template).await? {
        // Freed at the latest when this connection closes.
        sqlx::query("SELECT pg_advisory_lock($1)").bind(TEMPLATE_LOCK).execute(&mut admin).await?;
        if !exists(&mut admin, &template).await? {
            make_template(&mut admin, admin_url, migrator, &template).await?;
        }
        sqlx::query("SELECT pg_advisory_unlock($1)")
            .bind(TEMPLATE_LOCK)
            .execute(&mut admin)
            .await?;
    }
    execute(&mut admin, format!("CREATE DATABASE {name} TEMPLATE {template}")).await?;
    admin.close().await
}

async fn make_template(
    admin: &mut PgConnection,
    admin_url: &str,
    migrator: &Migrator,
    template: &str,
) -> Result<(), sqlx::Error> {
    let draft = unique_name("annals_draft_");
    execute(admin, format!("CREATE DATABASE {draft} TEMPLATE template0")).await?;
    let migrated = migrate(&with_database(admin_url, &draft), migrator).await;
    if migrated.is_err() {
        execute(admin, format!("DROP DATABASE {draft} WITH (FORCE)")).await?;
        return migrated;
    }
    execute(admin, format!("ALTER DATABASE {draft} RENAME TO {template}")).await
}

async fn migrate(url: &str, migrator: &Migrator) -> Result<(), sqlx::Error> {
    let mut connection = options(url).connect().await?;
    let migrated = migrator.run(&mut connection).await;
    // A session that is still ending would keep the database from being renamed.
    connection.close().await?;
    Ok(migrated?)
}

async fn exists(admin: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(name)
        .fetch_one(admin)
        .await
}

/// Runs a statement that takes no parameters because it names a database; every name here
/// is made of our own letters and digits.
async fn execute(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await.map(drop)
}

/// A name made from the content of all migrations, so a changed one has another template.
fn template_name(migrator: &Migrator) -> String {
    let mut content = Vec::new();
    for migration in migrator.iter() {
        content.extend_from_slice(&migration.version.to_be_bytes());
        content.extend_from_slice(&migration.checksum);
    }
    let hash = Uuid::new_v5(&Uuid::NAMESPACE_OID, &content);
    format!("annals_template_{}", hash.simple())
}

fn unique_name(prefix: &str) -> String {
    let unique = random::characters(16).expect("the system has random bytes");
    format!("{prefix}{unique}")
}

fn with_database(url: &str, name: &str) -> String {
    let mut url = Url::parse(url).expect("a database URL is a URL");
    url.set_path(name);
    url.into()
}

fn options(url: &str) -> PgConnectOptions {
    let options: PgConnectOptions = url.parse().expect("a database URL names a server");
    options.disable_statement_logging()
}
