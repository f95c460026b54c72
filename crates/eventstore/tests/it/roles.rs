//! The role that processes run as appends, and writes the log in no other way.

use std::path::Path;
use std::process::Command;

use eventstore::EventStore;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use testkit::{Postgres, TestDatabase};

use crate::support::{MIGRATOR, all, append, assert_gapless, exactly, to};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_role_of_the_application_appends_and_rewrites_nothing() {
    let postgres = tokio::task::block_in_place(|| Postgres::start_ephemeral().unwrap());
    let database = TestDatabase::create_on(&postgres, &MIGRATOR).await;
    let create = "CREATE ROLE annals_app LOGIN PASSWORD 'only-in-this-test'";
    sqlx::raw_sql(create).execute(&database.pool()).await.unwrap();
    let roles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/roles.sql");
    let granted = Command::new(postgres.program("psql"))
        .args(["--quiet", "--set=ON_ERROR_STOP=1", "--set=role=annals_app", "--file"])
        .arg(roles)
        .arg(format!("--dbname={}", database.url()))
        .status()
        .unwrap();
    assert!(granted.success());

    let options: PgConnectOptions = database.url().parse().unwrap();
    let options = options.username("annals_app").password("only-in-this-test");
    let pool = PgPoolOptions::new().connect_with(options).await.unwrap();
    let store = EventStore::open(pool.clone()).await.unwrap();
    append(&store, to("a", exactly(0), 3)).await.unwrap();
    sqlx::raw_sql("SELECT eventstore.add_partitions()").execute(&pool).await.unwrap();
    for statement in [
        "UPDATE eventstore.events SET actor = 'somebody else'",
        "DELETE FROM eventstore.events",
        "TRUNCATE eventstore.events",
        "UPDATE eventstore.events_000001 SET actor = 'somebody else'",
        "ALTER TABLE eventstore.events DISABLE TRIGGER ALL",
        "DROP TABLE eventstore.events_000003",
        "INSERT INTO eventstore.events SELECT * FROM eventstore.events",
        "INSERT INTO eventstore.outbox VALUES (99, 'x')",
        "DELETE FROM eventstore.outbox",
        "DROP TABLE eventstore.outbox_000000001",
        "UPDATE eventstore.log SET outbox_floor = 99",
        "DELETE FROM eventstore.commands",
        "UPDATE eventstore.claims SET stream = 'mine'",
        "DELETE FROM eventstore.tags",
        "DELETE FROM eventstore.types",
        "UPDATE eventstore.log SET id = gen_random_uuid()",
        "SELECT eventstore.begin_import(gen_random_uuid())",
    ] {
        let refused = sqlx::raw_sql(statement).execute(&pool).await.unwrap_err().to_string();
        let reason = refused.contains("permission denied") || refused.contains("must be owner");
        assert!(reason, "{statement}: {refused}");
    }
    let events = all(&store).await;
    assert_eq!(events.len(), 3);
    assert_gapless(&events);
}
