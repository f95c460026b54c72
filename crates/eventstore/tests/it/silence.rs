//! A connection that goes silent without an end: whoever waits for it waits for a while only, and
//! everybody else goes on.

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use eventstore::{Append, AppendError, EventStore, answer};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use testkit::Line;

use crate::support::{MIGRATOR, all, append, assert_gapless, exactly, to};

const CONNECTIONS: u32 = 5;

/// Gives a command again until it is confirmed. The pool may hold more connections that have fallen
/// silent, each of which costs one try, and no more than it has.
async fn insist(store: &EventStore, command: Append) {
    for _ in 0..=CONNECTIONS {
        match append(store, command.clone()).await {
            Ok(_) => return,
            Err(AppendError::Unconfirmed { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("more tries than connections");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_on_a_silent_connection_is_unconfirmed_and_the_next_one_goes_through() {
    let database = testkit::TestDatabase::create(&MIGRATOR).await;
    let options: PgConnectOptions = database.url().parse().unwrap();
    let line = Line::to(options.get_host(), options.get_port()).await;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(30))
        .connect_with(options.host("127.0.0.1").port(line.port()))
        .await
        .unwrap();
    let store = EventStore::open(pool).await.unwrap();
    append(&store, to("before", exactly(0), 1)).await.unwrap();

    // The pool looks after a connection when it gets it back; that shall be over.
    testkit::eventually(Duration::from_secs(10), "the pool to be idle", async || {
        let (idle, size) = (store.pool().num_idle(), store.pool().size());
        if u32::try_from(idle) == Ok(size) { Ok(()) } else { Err((idle, size)) }
    })
    .await;
    line.fall_silent();
    let command = to("during", exactly(0), 1);
    let during = append(&store, command.clone()).await;
    assert!(matches!(during, Err(AppendError::Unconfirmed { .. })), "{during:?}");
    insist(&store, to("after", exactly(0), 1)).await;
    insist(&store, command).await;
    let events = all(&store).await;
    assert_eq!(events.len(), 3);
    assert_gapless(&events);
}

/// Dropped between its question and the answer, it must not leave a connection to the next user that
/// is in a transaction already: nothing of his would ever be committed.
#[tokio::test]
async fn a_beginning_that_nobody_waits_for_leaves_no_open_transaction() {
    let database = testkit::TestDatabase::create(&MIGRATOR).await;
    let only = PgPoolOptions::new()
        .max_connections(1)
        // So that the question itself is the first thing that is sent.
        .test_before_acquire(false)
        .connect(database.url())
        .await
        .unwrap();
    let transaction = async || {
        let id = sqlx::query_scalar::<_, String>("SELECT pg_current_xact_id()::text");
        id.fetch_one(&only).await.unwrap()
    };
    for polls in (0..20).cycle().take(200) {
        let mut begun = Box::pin(answer::begin(&only, "BEGIN"));
        for _ in 0..polls {
            let is_over =
                poll_fn(|context| Poll::Ready(begun.as_mut().poll(context).is_ready())).await;
            if is_over {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(begun);
        assert_ne!(transaction().await, transaction().await, "dropped after {polls} polls");
    }
}
