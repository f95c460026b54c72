//! A connection that goes silent without an end: whoever waits for it waits for a while only, and
//! everybody else goes on.

use std::time::Duration;

use eventstore::{Append, AppendError, EventStore};
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
