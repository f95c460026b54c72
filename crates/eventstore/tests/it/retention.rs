//! The outbox stays small: what is published is dropped, a range at a time, and told from the log.

use std::time::Duration;

use eventstore::{
    Cursor, EventStore, ExpectedVersion, Outbound, OutboxPlace, PageLimit, Position, Retirement,
};
use sqlx::{AssertSqlSafe, PgPool};
use testkit::TestDatabase;

use crate::support::{append, log, to};

/// Longer than anything takes that works.
const LIMIT: Duration = Duration::from_secs(30);

/// A log whose outbox has partitions of 1,000 positions, and a cursor on it.
async fn small_outbox() -> (TestDatabase, EventStore, Cursor) {
    let (database, _) = log().await;
    let drop: Vec<String> = sqlx::query_scalar(
        "SELECT format('DROP TABLE %s', inhrelid::regclass) FROM pg_inherits
         WHERE inhparent IN ('eventstore.outbox'::regclass, 'eventstore.messages'::regclass)",
    )
    .fetch_all(&database.pool())
    .await
    .unwrap();
    let setup = format!(
        "{}; UPDATE eventstore.log SET outbox_positions = 1000; SELECT eventstore.add_partitions()",
        drop.join(";")
    );
    sqlx::raw_sql(AssertSqlSafe(setup)).execute(&database.pool()).await.unwrap();
    let store = EventStore::open(database.pool()).await.unwrap();
    let cursor = Cursor::lease(store.pool(), "relay:TEST").await.unwrap().unwrap();
    (database, store, cursor)
}

/// Makes the log longer by `events`, half of them public, and partitions in time.
async fn grow(store: &EventStore, events: usize) {
    for _ in 0..events / 100 {
        let mut hundred = to("long", ExpectedVersion::Any, 100);
        for private in hundred.events.iter_mut().step_by(2) {
            private.subject = None;
        }
        append(store, hundred).await.unwrap();
        sqlx::query("SELECT eventstore.add_partitions()").execute(store.pool()).await.unwrap();
    }
}

/// Publishes everything, as far as the cursor knows.
async fn publish(store: &EventStore, cursor: &mut Cursor) {
    let head = store.head().await.unwrap();
    let mut transaction = store.pool().begin().await.unwrap();
    cursor.advance(&mut transaction, head).await.unwrap();
    transaction.commit().await.unwrap();
    cursor.committed(head);
}

/// What the outbox takes, and in how many partitions.
async fn size(pool: &PgPool) -> (i64, i64) {
    let size = "SELECT sum(pg_total_relation_size(inhrelid))::bigint, count(*) / 2 FROM pg_inherits
                WHERE inhparent IN ('eventstore.outbox'::regclass, 'eventstore.messages'::regclass)";
    sqlx::query_as(size).fetch_one(pool).await.unwrap()
}

/// Retires all there is.
async fn retire(store: &EventStore, cursor: &Cursor, margin: u32) -> Position {
    let retiring = async {
        loop {
            if store.retire_outbox(cursor, margin).await.unwrap() == Retirement::Nothing {
                return store.outbox_floor().await.unwrap();
            }
        }
    };
    tokio::time::timeout(LIMIT, retiring).await.expect("nobody is waited for")
}

/// Everything after `after`, page by page: positions, and whether the outbox tells the subject.
async fn outbound(store: &EventStore, after: i64, limit: PageLimit) -> Vec<(i64, bool)> {
    let (mut found, mut after) = (Vec::new(), OutboxPlace::after(Position::new(after)));
    loop {
        let page = store.read_outbound(after, limit).await.unwrap();
        if page.reached == after {
            assert!(page.items.is_empty());
            return found;
        }
        after = page.reached;
        assert!(page.items.len() <= usize::from(limit.events));
        found.extend(page.items.iter().map(|item| {
            let told = matches!(item, Outbound::Event { subject: Some(_), .. });
            (item.place().position().get(), told)
        }));
    }
}

#[tokio::test]
async fn what_is_published_is_dropped_by_ranges_and_told_from_the_log() {
    let (_database, store, mut cursor) = small_outbox().await;
    grow(&store, 4_500).await;
    let limit = PageLimit { events: 700, bytes: usize::MAX };
    let before = outbound(&store, 0, limit).await;
    assert_eq!(before, (1..=2_250).map(|half| (half * 2, true)).collect::<Vec<_>>());
    assert_eq!(retire(&store, &cursor, 0).await, Position::START, "nothing is published yet");

    publish(&store, &mut cursor).await;
    assert_eq!(retire(&store, &cursor, 2_600).await.get(), 1_000, "the margin is kept");
    assert_eq!(retire(&store, &cursor, 0).await.get(), 4_000, "and so is the partition in use");
    let rows: Vec<i64> =
        sqlx::query_scalar("SELECT position FROM eventstore.outbox ORDER BY position")
            .fetch_all(store.pool())
            .await
            .unwrap();
    assert_eq!(rows, (2_001..=2_250).map(|half| half * 2).collect::<Vec<_>>());
    // Below the floor everything comes, and the contract must say what is public.
    let expected = |after: i64| -> Vec<(i64, bool)> {
        let from_log = (after + 1..=4_000).map(|position| (position, false));
        from_log.chain((2_001..=2_250).map(|half| (half * 2, true))).collect()
    };
    assert_eq!(outbound(&store, 0, limit).await, expected(0));
    assert_eq!(outbound(&store, 3_333, limit).await, expected(3_333));
    assert_eq!(outbound(&store, 3_333, PageLimit { events: 100, bytes: 1 }).await, expected(3_333));
    // The log goes on as if nothing had been.
    grow(&store, 3_000).await;
    assert_eq!(outbound(&store, 4_500, limit).await.len(), 1_500);
}

#[tokio::test]
async fn only_who_leases_the_cursor_retires() {
    let (_database, store, mut cursor) = small_outbox().await;
    grow(&store, 3_000).await;
    publish(&store, &mut cursor).await;
    sqlx::query("UPDATE eventstore.cursors SET expires_at = clock_timestamp()")
        .execute(store.pool())
        .await
        .unwrap();
    let next = Cursor::lease(store.pool(), "relay:TEST").await.unwrap().unwrap();
    assert_eq!(store.retire_outbox(&cursor, 0).await.unwrap(), Retirement::Nothing);
    assert_eq!(
        store.retire_outbox(&next, 0).await.unwrap(),
        Retirement::UpTo(Position::new(1_000))
    );
    // A cursor beyond the log takes no partition away from those who append.
    sqlx::query("UPDATE eventstore.cursors SET position = 1000000")
        .execute(store.pool())
        .await
        .unwrap();
    retire(&store, &next, 0).await;
    grow(&store, 1_000).await;
}

/// An hour-long report, say: it reads the log, in one snapshot.
#[tokio::test]
async fn an_old_snapshot_of_somebody_else_keeps_nothing_of_the_outbox() {
    let (database, store, mut cursor) = small_outbox().await;
    let begin = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ";
    let mut foreign = database.pool().begin_with(begin).await.unwrap();
    sqlx::query("SELECT count(*) FROM eventstore.events").execute(&mut *foreign).await.unwrap();

    grow(&store, 3_500).await;
    publish(&store, &mut cursor).await;
    retire(&store, &cursor, 0).await;
    let (bytes, partitions) = size(store.pool()).await;
    assert_eq!(partitions, 1 + 4, "the one in use, and those ahead");
    for round in 1..=3 {
        grow(&store, 5_000).await;
        publish(&store, &mut cursor).await;
        assert_eq!(retire(&store, &cursor, 0).await.get(), 3_000 + round * 5_000);
        assert_eq!(size(store.pool()).await, (bytes, partitions), "it has not grown");
    }
    let seen: i64 = sqlx::query_scalar("SELECT count(*) FROM eventstore.events")
        .fetch_one(&mut *foreign)
        .await
        .unwrap();
    assert_eq!(seen, 0, "the snapshot is as old as ever");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_looks_at_the_outbox_puts_it_off_and_holds_up_no_append() {
    let (database, store, mut cursor) = small_outbox().await;
    grow(&store, 2_500).await;
    publish(&store, &mut cursor).await;
    let mut foreign = database.pool().begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM eventstore.outbox").execute(&mut *foreign).await.unwrap();

    // Without a limit both would wait for the foreign transaction, which waits for them.
    let trying = async {
        for _ in 0..5 {
            let (busy, ()) = tokio::join!(store.retire_outbox(&cursor, 0), grow(&store, 200));
            assert_eq!(busy.unwrap(), Retirement::Busy);
        }
    };
    tokio::time::timeout(LIMIT, trying).await.expect("nobody waits for the foreign transaction");
    let settings: Vec<String> = sqlx::query_scalar(
        "SELECT unnest(proconfig) FROM pg_proc WHERE oid = 'eventstore.retire_outbox'::regproc",
    )
    .fetch_all(store.pool())
    .await
    .unwrap();
    assert!(settings.contains(&"lock_timeout=50ms".to_owned()), "{settings:?}");

    foreign.rollback().await.unwrap();
    assert_eq!(retire(&store, &cursor, 0).await.get(), 2_000);
}
