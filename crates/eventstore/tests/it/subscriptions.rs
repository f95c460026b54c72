//! A subscription skips nothing, repeats nothing and keeps the order, whatever happens meanwhile.

use std::time::Duration;

use eventstore::wakeup::POLL;
use eventstore::{
    EventStore, Filter, Page, Position, RecordedEvent, Rewound, Subscription, Wakeup,
};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use testkit::{Line, Postgres, TestDatabase};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{MIGRATOR, append, assert_gapless, exactly, log, to};

const LIMIT: Duration = Duration::from_mins(1);

async fn next(subscription: &mut Subscription) -> Result<Page, Rewound> {
    timeout(LIMIT, subscription.next()).await.expect("a page in time")
}

/// Reads on until `count` events were seen.
async fn see(subscription: &mut Subscription, count: usize) -> Vec<RecordedEvent> {
    let mut seen = Vec::new();
    while seen.len() < count {
        seen.extend(next(subscription).await.unwrap().events);
    }
    seen
}

fn everything(store: &EventStore) -> Subscription {
    let wakeup = Wakeup::listen(store.pool().clone());
    store.subscribe(Filter::everything(), Position::START, wakeup)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_catches_up_and_goes_on_live_while_many_write() {
    let (database, store) = log().await;
    for number in 0..5 {
        append(&store, to(&format!("before-{number}"), exactly(0), 300)).await.unwrap();
    }
    let mut subscription = everything(&store);
    let other = EventStore::open(database.pool()).await.unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let store = if writer % 2 == 0 { store.clone() } else { other.clone() };
        writers.spawn(async move {
            for version in 0..100 {
                append(&store, to(&format!("live-{writer}"), exactly(version), 1)).await.unwrap();
            }
        });
    }
    let seen = see(&mut subscription, 1_500 + 800).await;
    assert_gapless(&seen);
    writers.join_all().await;
    assert_eq!(subscription.position(), store.head().await.unwrap());
}

#[tokio::test]
async fn a_filtered_one_sees_what_passes_and_moves_past_the_rest() {
    let (_database, store) = log().await;
    let wakeup = Wakeup::listen(store.pool().clone());
    let filter = Filter { categories: Some(vec!["b".to_owned()]), ..Filter::default() };
    let mut subscription = store.subscribe(filter, Position::START, wakeup);
    for round in 0..10 {
        append(&store, to("a-1", exactly(round * 3), 3)).await.unwrap();
        append(&store, to("b-1", exactly(round), 1)).await.unwrap();
        let seen = see(&mut subscription, 1).await;
        assert_eq!(seen.len(), 1);
        assert_eq!((seen[0].stream.as_str(), seen[0].version.get()), ("b-1", round + 1));
    }
    append(&store, to("a-1", exactly(30), 1)).await.unwrap();
    let page = next(&mut subscription).await.unwrap();
    assert!(page.events.is_empty());
    assert_eq!(page.reached, store.head().await.unwrap());
}

#[tokio::test]
async fn without_any_notification_it_sees_everything_a_moment_later() {
    let (database, store) = log().await;
    let mut subscription = everything(&store);
    append(&store, to("a", exactly(0), 1)).await.unwrap();
    assert_gapless(&see(&mut subscription, 1).await);
    for version in 1..4 {
        // Whoever listens is sent away, again and again, and the notification goes to nobody.
        let listeners = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                         WHERE datname = current_database() AND query ILIKE 'LISTEN%'";
        let _: i64 = sqlx::query_scalar(listeners).fetch_one(&database.pool()).await.unwrap();
        append(&store, to("a", exactly(version), 1)).await.unwrap();
        let seen = see(&mut subscription, 1).await;
        assert_eq!(seen[0].version.get(), version + 1);
    }
}

/// How many sessions listen, besides who asks.
async fn listeners(database: &TestDatabase) -> i64 {
    let listeners = "SELECT count(*) FROM pg_stat_activity
                     WHERE datname = current_database() AND query = 'LISTEN \"eventstore_appended\"'";
    sqlx::query_scalar(listeners).fetch_one(&database.pool()).await.unwrap()
}

#[tokio::test]
async fn a_wakeup_listens_on_one_connection_for_as_long_as_somebody_follows() {
    let (database, store) = log().await;
    let there_are = async |count| {
        testkit::eventually(LIMIT, "listeners to come or go", async || {
            let listening = listeners(&database).await;
            if listening == count { Ok(()) } else { Err(listening) }
        })
        .await;
    };
    let wakeup = Wakeup::listen(store.pool().clone());
    there_are(1).await;
    let other = wakeup.clone();
    drop(wakeup);
    let options: PgConnectOptions = database.url().parse().unwrap();
    let another_pool = PgPoolOptions::new().connect_with(options).await.unwrap();
    let mut of_another_pool = Wakeup::listen(another_pool.clone());
    there_are(2).await;
    another_pool.close().await;
    there_are(1).await;
    // Whoever follows with it goes on, at its own pace: the first may have been woken before.
    of_another_pool.wait().await;
    let waiting = timeout(POLL / 2, of_another_pool.wait()).await;
    assert!(waiting.is_err(), "it does not look without a pause");
    drop(other);
    there_are(0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_outlives_a_server_that_is_killed_and_comes_back() {
    let mut postgres = Postgres::start_ephemeral().unwrap();
    let database = TestDatabase::create_on(&postgres, &MIGRATOR).await;
    let store = EventStore::open(database.pool()).await.unwrap();
    let mut subscription = everything(&store);
    append(&store, to("a", exactly(0), 3)).await.unwrap();
    let mut seen = see(&mut subscription, 3).await;
    for round in 1..3 {
        postgres.kill9();
        // It looks, and finds nobody.
        assert!(timeout(Duration::from_millis(300), subscription.next()).await.is_err());
        postgres.restart().unwrap();
        let command = to("a", exactly(round * 3), 3);
        while append(&store, command.clone()).await.is_err() {}
        seen.extend(see(&mut subscription, 3).await);
    }
    assert_eq!(seen.len(), 9);
    assert_gapless(&seen);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_anywhere_costs_it_nothing() {
    let (database, writer) = log().await;
    let options: PgConnectOptions = database.url().parse().unwrap();
    let line = Line::to(options.get_host(), options.get_port()).await;
    let pool = PgPoolOptions::new()
        .max_connections(3)
        .connect_with(options.host("127.0.0.1").port(line.port()))
        .await
        .unwrap();
    let store = EventStore::open(pool).await.unwrap();
    let mut subscription = everything(&store);
    let mut seen = Vec::new();
    for round in 0..60 {
        // Each time a little later: within the answer to a page, between two, in a greeting.
        line.cut_after(u64::try_from(round * 37).unwrap());
        append(&writer, to("a", exactly(round * 4), 4)).await.unwrap();
        seen.extend(see(&mut subscription, 4).await);
    }
    assert_eq!(seen.len(), 240);
    assert_gapless(&seen);
}

/// A standby that was behind took over, or a backup was restored.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_lost_its_end_is_noticed() {
    let postgres = Postgres::start_ephemeral().unwrap();
    let database = TestDatabase::create_on(&postgres, &MIGRATOR).await;
    let name = database.name().to_owned();
    let store = EventStore::open(database.pool()).await.unwrap();
    append(&store, to("a", exactly(0), 5)).await.unwrap();
    let admin = PgPoolOptions::new().max_connections(1).connect(&postgres.url()).await.unwrap();
    let run = async |statement: String| {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&admin).await.unwrap();
    };
    // Nobody may be connected while it is copied.
    let send_away = || {
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
    };
    run(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
    run(send_away()).await;
    run(format!("CREATE DATABASE {name}_older TEMPLATE {name}")).await;
    run(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;

    let store = EventStore::open(database.pool()).await.unwrap();
    append(&store, to("a", exactly(5), 5)).await.unwrap();
    let mut subscription = everything(&store);
    assert_gapless(&see(&mut subscription, 10).await);

    run(format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
    run(send_away()).await;
    run(format!("ALTER DATABASE {name} RENAME TO {name}_newer")).await;
    run(format!("ALTER DATABASE {name}_older RENAME TO {name}")).await;
    let store = EventStore::open(database.pool()).await.unwrap();
    // Other events at the same positions.
    append(&store, to("b", exactly(0), 7)).await.unwrap();
    let rewound = next(&mut subscription).await.unwrap_err();
    assert_eq!(rewound.position.get(), 10);
}
