//! A database for each test.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use sqlx::PgPool;
use sqlx::SqlSafeStr;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use testkit::{Postgres, TestDatabase, eventually};

use crate::support::{LIMIT, connect};

fn migrator(table: &'static str) -> Migrator {
    let sql = sqlx::AssertSqlSafe(format!("CREATE TABLE {table} (n int)")).into_sql_str();
    let migration = Migration::new(1, table.into(), MigrationType::Simple, sql, false);
    Migrator::with_migrations(vec![migration])
}

async fn count(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM notes").fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn databases_are_migrated_independent_and_dropped() {
    let migrator = migrator("notes");
    let started = Instant::now();
    let one = TestDatabase::create(&migrator).await;
    println!("first database, maybe with server and template: {:?}", started.elapsed());
    let started = Instant::now();
    let other = TestDatabase::create(&migrator).await;
    println!("next database: {:?}", started.elapsed());

    sqlx::raw_sql("INSERT INTO notes VALUES (1)").execute(&one.pool()).await.unwrap();
    assert_eq!((count(&one.pool()).await, count(&other.pool()).await), (1, 0));

    let name = one.name().to_owned();
    // Dropped with its sessions.
    let _open = one.pool().acquire().await.unwrap();
    drop(one);
    let mut connection = connect(other.url()).await;
    eventually(LIMIT, "the database to be dropped", async || {
        let exists: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
                .bind(&name)
                .fetch_one(&mut connection)
                .await
                .unwrap();
        if exists { Err("it exists") } else { Ok(()) }
    })
    .await;
}

#[tokio::test]
async fn other_migrations_have_another_template() {
    let notes = TestDatabase::create(&migrator("notes")).await;
    let letters = TestDatabase::create(&migrator("letters")).await;
    assert_eq!(count(&notes.pool()).await, 0);
    sqlx::raw_sql("TABLE letters").execute(&letters.pool()).await.unwrap();
    sqlx::raw_sql("TABLE notes").execute(&letters.pool()).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_make_one_template() {
    let postgres = Postgres::start_ephemeral().unwrap();
    let migrator = migrator("notes");
    let made = join_all((0..8).map(|_| TestDatabase::create_on(&postgres, &migrator))).await;
    assert_eq!(made.len(), 8);
    let templates: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_database WHERE datname LIKE 'annals\\_template%'",
    )
    .fetch_one(&mut connect(&postgres.url()).await)
    .await
    .unwrap();
    assert_eq!(templates, 1);
}

#[tokio::test]
async fn a_database_survives_kill_9_of_its_server() {
    let mut postgres = Postgres::start_ephemeral().unwrap();
    let database = TestDatabase::create_on(&postgres, &migrator("notes")).await;
    let pool = database.pool();
    sqlx::raw_sql("INSERT INTO notes VALUES (1)").execute(&pool).await.unwrap();
    postgres.kill9();
    postgres.restart().unwrap();
    let rows = eventually(LIMIT, "the pool to connect again", || async {
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM notes").fetch_one(&pool).await
    })
    .await;
    assert_eq!(rows, 1);
}

#[tokio::test]
#[should_panic(expected = "for the moon; last seen: \"a star\"")]
async fn eventually_tells_what_it_saw_last() {
    eventually(Duration::from_millis(20), "the moon", || async { Err::<(), _>("a star") }).await;
}

#[tokio::test]
#[should_panic(expected = "the condition never answered")]
async fn eventually_is_not_hung_by_its_condition() {
    eventually(Duration::from_millis(20), "an answer", std::future::pending::<Result<(), ()>>)
        .await;
}
