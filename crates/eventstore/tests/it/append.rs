//! Law 1: what one command writes is there as a whole, or not at all.

use eventstore::{AppendError, ExpectedVersion, Position};
use sqlx::PgPool;

use crate::support::{all, append, assert_gapless, event, exactly, log, stream, to};

async fn count(pool: &PgPool, table: &str) -> i64 {
    let query = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM eventstore.{table}"));
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn events_outbox_and_command_are_there_together() {
    let (database, store) = log().await;
    let mut command = to("a", exactly(0), 3);
    command.events[1].subject = None;
    let receipt = append(&store, command).await.unwrap();
    assert_eq!(receipt.position, Position::new(3));
    assert_eq!(receipt.streams, [(stream("a"), eventstore::StreamVersion::new(3))]);
    let pool = database.pool();
    assert_eq!(count(&pool, "events").await, 3);
    assert_eq!(count(&pool, "commands").await, 1);
    let told = store.read_outbox(Position::START, 10).await.unwrap();
    let told: Vec<_> = told.iter().map(|message| message.event.position.get()).collect();
    assert_eq!(told, [1, 3], "an event without a subject is not told");
}

/// Whoever subtracts may come below 0, which the database takes for "any" and "exists".
#[tokio::test]
async fn no_stream_is_at_a_version_below_0() {
    let (_database, store) = log().await;
    append(&store, to("there", exactly(0), 2)).await.unwrap();
    for (name, at) in [("there", 2), ("not there", 0)] {
        for version in [-1, -2, -3, i64::MIN] {
            match append(&store, to(name, exactly(version), 1)).await {
                Err(AppendError::Conflict { stream: on, actual }) => {
                    assert_eq!((on.as_str(), actual.get()), (name, at));
                }
                other => panic!("a conflict at {version}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_conflict_on_one_stream_leaves_nothing_on_the_others() {
    let (database, store) = log().await;
    append(&store, to("b", exactly(0), 1)).await.unwrap();
    let mut command = to("a", exactly(0), 1);
    command.expectations.push((stream("b"), exactly(0)));
    command.events.push(event("b"));
    match append(&store, command).await {
        Err(AppendError::Conflict { stream: on, actual }) => {
            assert_eq!((on.as_str(), actual.get()), ("b", 1));
        }
        other => panic!("a conflict on b: {other:?}"),
    }
    for table in ["events", "commands", "outbox"] {
        assert_eq!(count(&database.pool(), table).await, 1, "{table}");
    }
}

#[tokio::test]
async fn events_of_several_streams_keep_the_order_they_were_decided_in() {
    let (_database, store) = log().await;
    let mut command = to("z", ExpectedVersion::Any, 1);
    command.expectations.push((stream("a"), ExpectedVersion::Any));
    command.events.push(event("a"));
    command.events.push(event("z"));
    append(&store, command).await.unwrap();
    let events = all(&store).await;
    let streams: Vec<_> = events.iter().map(|event| event.stream.as_str()).collect();
    assert_eq!(streams, ["z", "a", "z"]);
    assert_gapless(&events);
}

#[tokio::test]
async fn each_expectation_means_what_it_says() {
    let (_database, store) = log().await;
    let conflict = |outcome| matches!(outcome, Err(AppendError::Conflict { .. }));
    assert!(conflict(append(&store, to("a", ExpectedVersion::Exists, 1)).await));
    assert!(conflict(append(&store, to("a", exactly(1), 1)).await));
    assert!(append(&store, to("a", exactly(0), 2)).await.is_ok());
    assert!(conflict(append(&store, to("a", exactly(0), 1)).await));
    assert!(append(&store, to("a", ExpectedVersion::Exists, 1)).await.is_ok());
    assert!(append(&store, to("a", ExpectedVersion::Any, 1)).await.is_ok());
    assert!(append(&store, to("a", exactly(4), 1)).await.is_ok());
}

#[tokio::test]
async fn a_transaction_that_rolls_back_leaves_no_gap() {
    let (database, store) = log().await;
    let pool = database.pool();
    let mut transaction = pool.begin().await.unwrap();
    store.append_in(&mut transaction, &to("a", exactly(0), 2)).await.unwrap();
    transaction.rollback().await.unwrap();
    append(&store, to("a", exactly(0), 1)).await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    store.append_in(&mut transaction, &to("b", exactly(0), 2)).await.unwrap();
    transaction.commit().await.unwrap();
    let events = all(&store).await;
    assert_eq!(events.len(), 3);
    assert_gapless(&events);
}

#[tokio::test]
async fn other_isolation_levels_are_refused() {
    let (database, store) = log().await;
    let pool = database.pool();
    let mut transaction = pool.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE").await.unwrap();
    match store.append_in(&mut transaction, &to("a", exactly(0), 1)).await {
        Err(AppendError::Refused { source }) => {
            assert!(source.to_string().contains("READ COMMITTED"));
        }
        other => panic!("a refusal: {other:?}"),
    }
}

#[tokio::test]
async fn what_can_never_be_appended_is_refused_before_the_database_sees_it() {
    let (database, store) = log().await;
    let too_many = append(&store, to("a", exactly(0), 501)).await;
    assert!(matches!(too_many, Err(AppendError::TooManyEvents { events: 501 })));
    let mut large = to("a", exactly(0), 1);
    large.events[0].payload = format!("\"{}\"", "x".repeat(600 * 1024));
    assert!(matches!(append(&store, large).await, Err(AppendError::PayloadTooLarge { .. })));
    let mut twice = to("a", exactly(0), 1);
    twice.expectations.push((stream("a"), ExpectedVersion::Any));
    assert!(matches!(append(&store, twice).await, Err(AppendError::RepeatedStream { .. })));
    let mut unexpected = to("a", exactly(0), 1);
    unexpected.events.push(event("b"));
    assert!(matches!(
        append(&store, unexpected).await,
        Err(AppendError::WithoutExpectation { .. })
    ));
    assert_eq!(count(&database.pool(), "commands").await, 0);
}

#[tokio::test]
async fn one_poisoned_append_of_a_batch_fails_alone() {
    let (_database, store) = log().await;
    let appends = (0..40).map(|number| {
        let mut command = to(&format!("stream-{number}"), exactly(0), 1);
        if number == 20 {
            command.events[0].payload = "{\"not\": json".to_owned();
        }
        append(&store, command)
    });
    let outcomes = futures_util::future::join_all(appends).await;
    for (number, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Err(AppendError::Refused { .. }) => assert_eq!(number, 20),
            other => assert!(other.is_ok(), "{number}: {other:?}"),
        }
    }
    assert_gapless(&all(&store).await);
}
