//! Runs a command with `DATABASE_URL` set to a fresh database that holds the whole schema: the
//! migrations, and the tables of every read model on its search path.
//!
//! `make sqlx` describes the queries against it. It depends on none of the crates that hold
//! queries, so it builds while their descriptions are out of date.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, PgPool};
use testkit::Postgres;

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let program = arguments.next().ok_or("name a command to run")?;
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");

    let postgres = Postgres::start_ephemeral()?;
    let pool = PgPool::connect(&postgres.url()).await?;
    Migrator::new(workspace.join("migrations")).await?.run(&pool).await?;
    let mut schemas = vec!["public".to_owned()];
    for file in read_model_schemas(&workspace.join("crates/projections/src"))? {
        schemas.push(create(&pool, &file).await?);
    }
    let database: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&pool).await?;
    let path = format!("ALTER DATABASE {database} SET search_path = {}", schemas.join(", "));
    sqlx::raw_sql(AssertSqlSafe(path)).execute(&pool).await?;
    pool.close().await;

    let status =
        Command::new(program).args(arguments).env("DATABASE_URL", postgres.url()).status()?;
    postgres.stop()?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every `<read model>/v<n>.sql`.
fn read_model_schemas(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(read_model_schemas(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "sql") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Makes the tables of `<name>/v<n>.sql` in the schema `<name>_v<n>`.
async fn create(pool: &PgPool, file: &Path) -> Result<String, Box<dyn Error>> {
    let part =
        |text: Option<&std::ffi::OsStr>| text.and_then(|text| text.to_str()).map(str::to_owned);
    let name =
        part(file.parent().and_then(Path::file_name)).ok_or("a read model without a name")?;
    let version = part(file.file_stem()).ok_or("a schema without a version")?;
    let schema = format!("{name}_{version}");
    let tables = std::fs::read_to_string(file)?;
    let script = format!("CREATE SCHEMA {schema}; SET search_path = {schema}; {tables}");
    let mut connection = pool.acquire().await?.detach();
    sqlx::raw_sql(AssertSqlSafe(script)).execute(&mut connection).await?;
    Ok(schema)
}
