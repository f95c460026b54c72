//! Law 2: however many write, from however many processes, a reader sees one log without gaps
//! and never finds something new behind where it has been.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eventstore::{AppendError, EventStore, ExpectedVersion, Filter, Position};
use tokio::task::JoinSet;

use crate::support::{all, append, assert_gapless, exactly, id, log, to};

const WRITERS: usize = 16;
const APPENDS: usize = 60;

/// Follows the log until `done` and everything is read; answers with all it saw.
async fn follow(store: EventStore, done: Arc<AtomicBool>) -> Vec<(Position, eventstore::EventId)> {
    let mut seen: Vec<(Position, eventstore::EventId)> = Vec::new();
    loop {
        let was_done = done.load(Ordering::SeqCst);
        let after = seen.last().map_or(Position::START, |(position, _)| *position);
        let page = store.read_page(&Filter::everything(), after, Position::MAX, 100).await.unwrap();
        let is_empty = page.events.is_empty();
        seen.extend(page.events.into_iter().map(|event| (event.position, event.id)));
        if was_done && is_empty {
            return seen;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_miss_nothing_while_many_write() {
    let (database, store) = log().await;
    // Three stores: three processes, as far as the database can tell.
    let mut stores = vec![store];
    for _ in 0..2 {
        stores.push(EventStore::open(database.pool()).await.unwrap());
    }
    let done = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> =
        stores.iter().map(|store| tokio::spawn(follow(store.clone(), Arc::clone(&done)))).collect();
    // A foreign session that holds a snapshot and has written: it must stall and fool nobody.
    let mut idle = database.pool().begin().await.unwrap();
    sqlx::query("CREATE TABLE idle (x integer)").execute(&mut *idle).await.unwrap();

    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = stores[writer % stores.len()].clone();
        writers.spawn(async move {
            for number in 0..APPENDS {
                let name = format!("stream-{}", (writer + number) % 7);
                append(&store, to(&name, ExpectedVersion::Any, 1 + number % 3)).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    done.store(true, Ordering::SeqCst);
    idle.rollback().await.unwrap();

    let events = all(&stores[0]).await;
    assert_eq!(events.len(), WRITERS * APPENDS * 2);
    assert_gapless(&events);
    let log: Vec<_> = events.iter().map(|event| (event.position, event.id)).collect();
    for reader in readers {
        assert_eq!(reader.await.unwrap(), log, "a reader saw the log as it is");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_one_stream_lose_nothing_and_overwrite_nothing() {
    let (database, store) = log().await;
    let other = EventStore::open(database.pool()).await.unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let store = if writer % 2 == 0 { store.clone() } else { other.clone() };
        writers.spawn(async move {
            for _ in 0..20 {
                let mut at = 0;
                loop {
                    match append(&store, to("the one", exactly(at), 1)).await {
                        Ok(_) => break,
                        Err(AppendError::Conflict { actual, .. }) => at = actual.get(),
                        Err(error) => panic!("{error:?}"),
                    }
                }
            }
        });
    }
    writers.join_all().await;
    let events = all(&store).await;
    assert_eq!(events.len(), 8 * 20);
    assert_gapless(&events);
}

#[tokio::test]
async fn a_caller_that_goes_away_changes_nothing() {
    let (_database, store) = log().await;
    let mut kept = JoinSet::new();
    for number in 0..50 {
        let store = store.clone();
        let name = format!("{}-{number}", id());
        if number % 2 == 0 {
            kept.spawn(async move { append(&store, to(&name, exactly(0), 1)).await });
        } else {
            let dropped =
                tokio::spawn(async move { append(&store, to(&name, exactly(0), 1)).await });
            tokio::task::yield_now().await;
            dropped.abort();
        }
    }
    for outcome in kept.join_all().await {
        outcome.unwrap();
    }
    // One more append answers only after everything before it in the queue.
    append(&store, to("last", exactly(0), 1)).await.unwrap();
    let events = all(&store).await;
    assert!((26..=51).contains(&events.len()), "{}", events.len());
    assert_gapless(&events);
}
