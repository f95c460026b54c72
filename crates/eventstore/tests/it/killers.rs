//! What other stores are known to lose events by.

use std::process::{Command, Stdio};
use std::time::Duration;

use eventstore::{AppendError, EventStore, Filter, Position, Subscription, Wakeup};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection};
use testkit::{Line, Postgres, TestDatabase};
use tokio::time::timeout;

use crate::support::{MIGRATOR, all, append, assert_gapless, exactly, log, to};

const LIMIT: Duration = Duration::from_secs(20);

fn everything(store: &EventStore) -> Subscription {
    let wakeup = Wakeup::listen(store.pool().clone());
    store.subscribe(Filter::everything(), Position::START, wakeup)
}

async fn see(subscription: &mut Subscription, count: usize) {
    let mut seen = Vec::new();
    while seen.len() < count {
        seen.extend(timeout(LIMIT, subscription.next()).await.unwrap().unwrap().events);
    }
    assert_gapless(&seen);
    assert_eq!(seen.len(), count);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_stalls_before_its_commit_is_waited_for_and_not_passed_over() {
    let (_database, store) = log().await;
    let mut subscription = everything(&store);
    append(&store, to("before", exactly(0), 1)).await.unwrap();
    let mut stalled = store.pool().begin().await.unwrap();
    store.append_in(&mut stalled, &to("stalled", exactly(0), 2)).await.unwrap();
    let behind = {
        let store = store.clone();
        tokio::spawn(async move { append(&store, to("behind", exactly(0), 3)).await })
    };
    // Whoever reads sees neither it nor what waits behind it.
    let first = timeout(LIMIT, subscription.next()).await.unwrap().unwrap();
    assert_eq!(first.events.len(), 1);
    assert!(timeout(Duration::from_millis(600), subscription.next()).await.is_err());
    assert!(!behind.is_finished());
    stalled.commit().await.unwrap();
    behind.await.unwrap().unwrap();
    see(&mut everything(&store), 6).await;
    let streams: Vec<_> = all(&store).await.into_iter().map(|event| event.stream).collect();
    assert_eq!(streams[1].as_str(), "stalled");
    assert_eq!(streams[3].as_str(), "behind");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_and_long_transactions_of_others_stall_no_reader_and_no_writer() {
    let (database, store) = log().await;
    // One holds a snapshot of this database, one a transaction id.
    let mut idle = PgConnection::connect(database.url()).await.unwrap();
    let snapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM eventstore.events";
    sqlx::raw_sql(snapshot).execute(&mut idle).await.unwrap();
    let mut writing = PgConnection::connect(database.url()).await.unwrap();
    sqlx::raw_sql("BEGIN; CREATE TABLE unrelated ()").execute(&mut writing).await.unwrap();
    // One writes in another database of the same server.
    let elsewhere = TestDatabase::create(&MIGRATOR).await;
    let mut foreign = PgConnection::connect(elsewhere.url()).await.unwrap();
    sqlx::raw_sql("BEGIN; CREATE TABLE unrelated ()").execute(&mut foreign).await.unwrap();

    let mut subscription = everything(&store);
    for version in 0..20 {
        append(&store, to("a", exactly(version), 1)).await.unwrap();
    }
    see(&mut subscription, 20).await;
    for mut connection in [idle, writing, foreign] {
        sqlx::raw_sql("ROLLBACK").execute(&mut connection).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_restored_into_another_cluster_is_the_same_log_and_goes_on() {
    let (first, second) = tokio::task::block_in_place(|| {
        (Postgres::start_ephemeral().unwrap(), Postgres::start_ephemeral().unwrap())
    });
    let database = TestDatabase::create_on(&first, &MIGRATOR).await;
    let store = EventStore::open(database.pool()).await.unwrap();
    // So that transaction ids of the two clusters are far apart.
    for version in 0..30 {
        append(&store, to("a", exactly(version * 2), 2)).await.unwrap();
    }
    let before = all(&store).await;

    // Roles are of the cluster, and in no dump of a database.
    let elsewhere = PgPoolOptions::new().connect(&second.url()).await.unwrap();
    sqlx::raw_sql("CREATE ROLE annals_queries").execute(&elsewhere).await.unwrap();
    elsewhere.close().await;
    let mut dump = Command::new(first.program("pg_dump"))
        .arg(format!("--dbname={}", database.url()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let restored = Command::new(second.program("psql"))
        .args(["--quiet", "--set=ON_ERROR_STOP=1", &format!("--dbname={}", second.url())])
        .stdin(dump.stdout.take().unwrap())
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(dump.wait().unwrap().success() && restored.success());

    let pool = PgPoolOptions::new().connect(&second.url()).await.unwrap();
    let copy = EventStore::open(pool).await.unwrap();
    assert_eq!(copy.log_id(), store.log_id());
    let after = all(&copy).await;
    let ids = |events: &[eventstore::RecordedEvent]| {
        events.iter().map(|event| event.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(&after), ids(&before));
    append(&copy, to("a", exactly(60), 1)).await.unwrap();
    see(&mut everything(&copy), 61).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_whose_connection_is_cut_anywhere_is_there_or_not_and_its_command_tells() {
    let (database, direct) = log().await;
    let options: PgConnectOptions = database.url().parse().unwrap();
    let line = Line::to(options.get_host(), options.get_port()).await;
    let pool = PgPoolOptions::new()
        .max_connections(3)
        .connect_with(options.host("127.0.0.1").port(line.port()))
        .await
        .unwrap();
    let store = EventStore::open(pool).await.unwrap();
    let (mut written, mut unconfirmed) = (0, 0);
    for round in 0..80 {
        if round % 2 == 0 {
            // A connection that is in use will be cut, not one that is looked at first.
            line.cut_after(u64::MAX);
            append(&store, to(&format!("before-{round}"), exactly(0), 1)).await.unwrap();
            written += 1;
        } else {
            line.cut();
        }
        // A byte more or two each time: in the greeting, in the description, in the answer, behind it.
        line.cut_after(u64::try_from(round * 3).unwrap());
        let command = to(&format!("s-{round}"), exactly(0), 2);
        let outcome = append(&store, command.clone()).await;
        let receipt = direct.receipt(command.command_id).await.unwrap();
        match outcome {
            Ok(acknowledged) => assert_eq!(receipt.unwrap().position, acknowledged.position),
            Err(AppendError::Unconfirmed { .. }) => {
                unconfirmed += 1;
                // The server may have been at it still when it was asked; the same command again
                // waits for that, and settles it.
                let again = append(&direct, command).await.unwrap();
                assert!(again.repeated || receipt.is_none());
            }
            Err(AppendError::Unavailable { .. }) => {
                assert!(receipt.is_none());
                append(&direct, command).await.unwrap();
            }
            Err(error) => panic!("{error:?}"),
        }
        written += 2;
    }
    assert!(unconfirmed > 0, "some were cut in the middle");
    let events = all(&direct).await;
    assert_eq!(events.len(), written);
    assert_gapless(&events);
}

#[tokio::test]
async fn appends_in_one_microsecond_have_an_order() {
    let (_database, store) = log().await;
    let appends = (0..200).map(|number| append(&store, to(&format!("s-{number}"), exactly(0), 1)));
    futures_util::future::try_join_all(appends).await.unwrap();
    let events = all(&store).await;
    assert_gapless(&events);
    let same = events.windows(2).filter(|pair| pair[0].recorded_at == pair[1].recorded_at).count();
    assert!(same > 0, "some share their time");
    assert!(events.is_sorted_by(|a, b| a.id < b.id), "and have different, ordered ids");
}
