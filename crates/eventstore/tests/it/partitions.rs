//! A log of many partitions is one log.

use std::time::Duration;

use eventstore::{AppendError, EventStore};
use testkit::{TestDatabase, eventually};

use crate::support::{MIGRATOR, all, append, assert_gapless, exactly, to};

/// A log whose partitions hold 1,000 events each.
async fn small_partitions() -> (TestDatabase, EventStore) {
    let database = TestDatabase::create(&MIGRATOR).await;
    let setup = "
        DROP TABLE eventstore.events_000001, eventstore.events_000002, eventstore.events_000003;
        UPDATE eventstore.log SET partition_events = 1000;
        SELECT eventstore.add_partitions()";
    sqlx::raw_sql(setup).execute(&database.pool()).await.unwrap();
    let store = EventStore::open(database.pool()).await.unwrap();
    (database, store)
}

async fn partitions(database: &TestDatabase) -> i64 {
    let count = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'eventstore.events'::regclass";
    sqlx::query_scalar(count).fetch_one(&database.pool()).await.unwrap()
}

#[tokio::test]
async fn the_log_grows_through_its_partitions_and_is_read_as_one() {
    let (database, store) = small_partitions().await;
    for version in 0..14 {
        append(&store, to("long", exactly(version * 300), 300)).await.unwrap();
        append(&store, to(&format!("short-{version}"), exactly(0), 20)).await.unwrap();
        // As slow as a real log grows, compared with how long a partition takes to make.
        let wanted = store.head().await.unwrap().get() / 1_000 + 3;
        eventually(Duration::from_secs(20), "partitions ahead", async || {
            let found = partitions(&database).await;
            if found >= wanted { Ok(()) } else { Err((found, wanted)) }
        })
        .await;
    }
    let events = all(&store).await;
    assert_eq!(events.len(), 14 * 320);
    assert_gapless(&events);
    let spread = "SELECT count(DISTINCT tableoid) FROM eventstore.events";
    let spread: i64 = sqlx::query_scalar(spread).fetch_one(&database.pool()).await.unwrap();
    assert_eq!(spread, 5);
    // What lies in the first partition still counts.
    let again = append(&store, to("short-0", exactly(0), 1)).await;
    assert!(matches!(again, Err(AppendError::Conflict { actual, .. }) if actual.get() == 20));
    let twice = append(&store, to("short-0", exactly(20), 1)).await.unwrap();
    assert_eq!(twice.streams[0].1.get(), 21);
}

#[tokio::test]
async fn each_partition_is_append_only_by_itself() {
    let (database, store) = small_partitions().await;
    append(&store, to("a", exactly(0), 1)).await.unwrap();
    for change in ["UPDATE {} SET actor = 'x'", "DELETE FROM {}", "TRUNCATE {}"] {
        let sql = change.replace("{}", "eventstore.events_000001");
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&database.pool()).await;
        assert!(refused.unwrap_err().to_string().contains("append-only"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_processes_may_make_partitions_at_once() {
    let (database, _store) = small_partitions().await;
    sqlx::raw_sql("UPDATE eventstore.log SET partition_events = 1000")
        .execute(&database.pool())
        .await
        .unwrap();
    let making = (0..8).map(|_| {
        let pool = database.pool();
        tokio::spawn(async move {
            sqlx::raw_sql("SELECT eventstore.add_partitions()").execute(&pool).await.map(drop)
        })
    });
    for made in making.collect::<Vec<_>>() {
        made.await.unwrap().unwrap();
    }
    assert_eq!(partitions(&database).await, 3);
}

/// A process that appends only in transactions of its own needs no other one to make room.
#[tokio::test]
async fn a_log_that_grows_in_foreign_transactions_has_partitions_ahead_too() {
    let (database, store) = small_partitions().await;
    for version in 0..8 {
        let mut transaction = store.pool().begin().await.unwrap();
        let append = to("long", exactly(version * 500), 500);
        let receipt = store.append_in(&mut transaction, &append).await.unwrap();
        transaction.commit().await.unwrap();
        let wanted = receipt.position.get() / 1_000 + 2;
        eventually(Duration::from_secs(20), "partitions ahead", async || {
            let found = partitions(&database).await;
            if found >= wanted { Ok(()) } else { Err((found, wanted)) }
        })
        .await;
    }
    assert_gapless(&all(&store).await);
}
