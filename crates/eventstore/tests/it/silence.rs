//! A connection that goes silent without an end: whoever waits for it waits for a while only, and
//! everybody else goes on.

use std::sync::Arc;
use std::time::Duration;

use eventstore::{Append, AppendError, EventStore};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::support::{MIGRATOR, all, append, assert_gapless, exactly, to};

const CONNECTIONS: u32 = 5;

/// Carries connections to a server; those open when it falls silent carry nothing more and do not
/// end, those opened later are as before.
pub(crate) struct Line {
    pub(crate) port: u16,
    silenced: Arc<watch::Sender<u32>>,
    accepting: AbortHandle,
}

impl Line {
    pub(crate) async fn to(server: (String, u16)) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let silenced = Arc::new(watch::Sender::new(0));
        let signal = Arc::clone(&silenced);
        let accepting = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut silence = signal.subscribe();
                let server = server.clone();
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        // Both ends stay open, and nobody carries anything.
                        _ = silence.changed() => std::future::pending::<()>().await,
                    }
                });
            }
        });
        Self { port, silenced, accepting: accepting.abort_handle() }
    }

    /// Lets nobody else in; those there are go on.
    pub(crate) fn refuse_others(&self) {
        self.accepting.abort();
    }

    pub(crate) fn fall_silent(&self) {
        self.silenced.send_modify(|times| *times += 1);
    }
}

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
    let line = Line::to((options.get_host().to_owned(), options.get_port())).await;
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .test_before_acquire(false)
        .acquire_timeout(Duration::from_secs(30))
        .connect_with(options.host("127.0.0.1").port(line.port))
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
