//! Commands are remembered for the stated time, and no longer: law 3 has an end that is told.

use std::time::Duration;

use eventstore::{Append, EventStore, ExpectedVersion};

use crate::support::{age, all, append, assert_gapless, exactly, forget, log, to};

async fn records(store: &EventStore) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM eventstore.commands")
        .fetch_one(store.pool())
        .await
        .unwrap()
}

async fn repeated(store: &EventStore, command: &Append) -> bool {
    append(store, command.clone()).await.unwrap().repeated
}

#[tokio::test]
async fn what_is_older_is_forgotten_by_steps_and_what_is_younger_is_remembered() {
    let (_database, store) = log().await;
    let mut old = Vec::new();
    for number in 0..10 {
        old.push(to(&format!("a-{number}"), ExpectedVersion::Any, 3));
        old.push(to(&format!("a-{number}"), ExpectedVersion::Any, 0));
    }
    for command in &old {
        append(&store, command.clone()).await.unwrap();
    }
    age(&store, 30, 31).await;
    let mut young = vec![to("a-0", exactly(3), 2), to("a-0", ExpectedVersion::Any, 0)];
    for command in &young {
        append(&store, command.clone()).await.unwrap();
    }
    // Younger by a moment than what goes.
    age(&store, 32, 29).await;
    assert_eq!(records(&store).await, 22);

    // A step may end in the middle of a command.
    let (steps, forgotten) = forget(&store, 4).await;
    assert_eq!(forgotten, 20);
    assert!(steps >= 8, "{steps}");
    assert_eq!(records(&store).await, 2);
    assert_eq!(forget(&store, 4).await, (1, 0), "nothing is looked at twice");
    for command in &young {
        assert!(repeated(&store, command).await);
    }
    // Given again it is a new command, whose record is young.
    assert!(!repeated(&store, &old[0]).await);
    assert!(repeated(&store, &old[0]).await);
    age(&store, 32, 2).await;
    assert_eq!(
        forget(&store, 1_000).await,
        (1, 2),
        "its events of before are no reason to forget it"
    );
    assert!(repeated(&store, &old[0]).await);
    assert!(!repeated(&store, &young.remove(1)).await);
    assert_gapless(&all(&store).await);
}

#[tokio::test]
async fn commands_without_events_are_forgotten_also_where_nothing_is_appended() {
    let (_database, store) = log().await;
    for _ in 0..7 {
        append(&store, to("a", ExpectedVersion::Any, 0)).await.unwrap();
    }
    age(&store, 0, 31).await;
    let (steps, forgotten) = forget(&store, 3).await;
    assert_eq!((steps, forgotten), (3, 7));
}

#[tokio::test]
async fn nothing_is_forgotten_within_a_day() {
    let (_database, store) = log().await;
    let mut connection = store.pool().acquire().await.unwrap();
    let short = Duration::from_secs(86_399);
    let refused = EventStore::forget_commands_in(&mut connection, short, 1_000).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("for a day at least"), "{refused}");
}

#[tokio::test]
async fn who_is_repeated_while_it_is_forgotten_waits_until_it_is() {
    let (database, store) = log().await;
    let command = to("a", ExpectedVersion::Any, 1);
    append(&store, command.clone()).await.unwrap();
    age(&store, 1, 31).await;
    let mut forgetting = database.pool().begin().await.unwrap();
    let month = Duration::from_hours(30 * 24);
    EventStore::forget_commands_in(&mut forgetting, month, 1_000).await.unwrap();
    let again = {
        let (store, command) = (store.clone(), command.clone());
        tokio::spawn(async move { append(&store, command).await })
    };
    let waiting = "SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database
                   WHERE d.datname = current_database() AND NOT l.granted AND l.locktype = 'advisory'";
    testkit::eventually(Duration::from_secs(40), "the append to wait", || async {
        let count: i64 = sqlx::query_scalar(waiting).fetch_one(&database.pool()).await.unwrap();
        if count == 1 { Ok(()) } else { Err(count) }
    })
    .await;
    forgetting.commit().await.unwrap();
    // It takes effect as what it is then, a command of its own.
    assert!(!again.await.unwrap().unwrap().repeated);
    assert_eq!(all(&store).await.len(), 2);
    assert_eq!(records(&store).await, 1);
}
