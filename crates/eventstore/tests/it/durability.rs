//! Law 4: what was acknowledged survives kill -9 of the database; what was not can be resolved.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eventstore::{AppendError, EventStore, ExpectedVersion};
use testkit::{Postgres, TestDatabase, eventually};
use tokio::task::JoinSet;

use crate::support::{MIGRATOR, all, append, assert_gapless, to};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_appends_survive_and_the_others_are_resolved_by_their_command() {
    let mut postgres = Postgres::start_ephemeral().unwrap();
    let database = TestDatabase::create_on(&postgres, &MIGRATOR).await;
    let store = EventStore::open(database.pool()).await.unwrap();

    let mut writers = JoinSet::new();
    let stop = Arc::new(AtomicBool::new(false));
    for writer in 0..16 {
        let (store, stop) = (store.clone(), Arc::clone(&stop));
        writers.spawn(async move {
            let (mut acknowledged, mut open) = (Vec::new(), Vec::new());
            while !stop.load(Ordering::SeqCst) {
                let command = to(&format!("{writer}"), ExpectedVersion::Any, 1);
                match append(&store, command.clone()).await {
                    Ok(_) => acknowledged.push(command),
                    Err(AppendError::Unconfirmed { .. }) => {
                        open.push(command);
                        break;
                    }
                    Err(AppendError::Unavailable { .. } | AppendError::Refused { .. }) => break,
                    Err(error) => panic!("{error:?}"),
                }
            }
            (acknowledged, open)
        });
    }
    eventually(Duration::from_secs(30), "some hundred events", async || {
        let head = store.head().await.unwrap().get();
        if head > 300 { Ok(()) } else { Err(head) }
    })
    .await;
    postgres.kill9();
    let (mut acknowledged, mut open) = (Vec::new(), Vec::new());
    let restarted = tokio::task::spawn_blocking(move || {
        postgres.restart().unwrap();
        postgres
    });
    let _postgres = restarted.await.unwrap();
    // Those that waited in the queue have lost nothing and go on until they are told.
    stop.store(true, Ordering::SeqCst);
    for (of_writer, open_of_writer) in writers.join_all().await {
        acknowledged.extend(of_writer);
        open.extend(open_of_writer);
    }

    assert!(acknowledged.len() > 200);
    for command in &acknowledged {
        let receipt = store.receipt(command.command_id).await.unwrap();
        assert!(receipt.is_some(), "{} was acknowledged and is lost", command.command_id);
    }
    // Looked up, then given again with the same id: no second effect, whatever had happened.
    let mut took_effect = acknowledged.len();
    for command in open {
        let known = store.receipt(command.command_id).await.unwrap();
        let receipt = append(&store, command).await.unwrap();
        assert_eq!(receipt.repeated, known.is_some());
        took_effect += 1;
    }
    let events = all(&store).await;
    assert_gapless(&events);
    assert_eq!(events.len(), took_effect);
}
