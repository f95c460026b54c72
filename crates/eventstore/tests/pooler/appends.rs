//! Appends of every kind, all at once, from several processes' worth of stores. While nothing
//! breaks, nothing may fail: not to know what became of an append is a failure here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use eventstore::{
    AppendError, Claim, Condition, Cursor, EventStore, EventType, ExpectedVersion, Fingerprint,
    NewEvent, Position, Query, QueryItem, StreamSlice, Tag,
};
use futures_util::TryStreamExt;
use tokio::task::JoinSet;

use crate::followers::follow;
use crate::sessions;
use crate::site::{Site, assert_gapless, exactly, log, stream, to};

const STORES: usize = 3;
/// Of each kind, on each store.
const WRITERS: usize = 6;
const ROUNDS: i64 = 30;
const VALUES: i64 = 20;
const SEATS: usize = 10;
const INCREMENTS: i64 = 5;

pub(crate) async fn all_at_once(site: &Site) -> String {
    let database = site.database().await;
    let mut stores = Vec::new();
    for _ in 0..STORES {
        stores.push(site.store(&database).await);
    }
    let followers = follow(&stores);
    let is_over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = stores
        .iter()
        .map(|store| tokio::spawn(read_on(store.clone(), Arc::clone(&is_over))))
        .collect();

    let mut owners = JoinSet::new();
    let mut incrementers = JoinSet::new();
    let mut claimers = JoinSet::new();
    let mut students = JoinSet::new();
    let mut leases = JoinSet::new();
    for writer in 0..STORES * WRITERS {
        let store = &stores[writer % STORES];
        owners.spawn(own_stream(store.clone(), writer));
        incrementers.spawn(increment(store.clone()));
        claimers.spawn(claim_all(store.clone(), writer));
        students.spawn(take_a_seat(store.clone(), writer));
        leases.spawn(lease(store.clone()));
    }
    owners.join_all().await;
    incrementers.join_all().await;
    let claimed: i64 = claimers.join_all().await.into_iter().sum();
    assert_eq!(claimed, VALUES, "each value was got once");
    let seated = students.join_all().await.into_iter().filter(|&is_seated| is_seated).count();
    assert_eq!(seated, SEATS, "as many as there are seats");
    let led = leases.join_all().await.into_iter().filter(|&is_mine| is_mine).count();
    assert_eq!(led, 1, "one owner of the cursor");
    is_over.store(true, Ordering::Relaxed);
    let mut pages = 0;
    for reader in readers {
        pages += reader.await.expect("a reader");
    }

    let log = log(&stores[0]).await;
    let count = |name: &str| {
        i64::try_from(log.iter().filter(|event| event.stream.as_str().starts_with(name)).count())
            .expect("a small number")
    };
    let writers = i64::try_from(STORES * WRITERS).expect("a small number");
    assert_eq!(count("own-"), writers * ROUNDS * 2);
    assert_eq!(count("counter"), writers * INCREMENTS);
    assert_eq!(count("seat-"), i64::try_from(SEATS).expect("a small number"));
    assert_eq!(count("claim-"), VALUES);
    let followed = followers.len();
    for follower in followers {
        follower.assert_saw(&log).await;
    }
    sessions::assert_nothing_is_left(site, &database).await;
    format!(
        "{} events, {pages} times the log was read meanwhile, {followed} followers saw each event once",
        log.len()
    )
}

/// Expected versions, and every command given twice at once.
async fn own_stream(store: EventStore, writer: usize) {
    let name = format!("own-{writer}");
    for round in 0..ROUNDS {
        let append = to(&name, exactly(round * 2), 2);
        let (one, other) = tokio::join!(store.append(append.clone()), store.append(append.clone()));
        let (one, other) = (one.expect("appended"), other.expect("appended"));
        assert_eq!(one.position, other.position);
        assert_ne!(one.repeated, other.repeated, "it took effect once");
        let mut changed = append;
        changed.fingerprint = Fingerprint::of(b"something else");
        let refused = store.append(changed).await;
        assert!(matches!(refused, Err(AppendError::OtherBody { .. })), "{refused:?}");
        let stale = store.append(to(&name, exactly(round * 2), 1)).await;
        assert!(matches!(stale, Err(AppendError::Conflict { .. })), "{stale:?}");
    }
}

/// One stream that all write.
async fn increment(store: EventStore) {
    let mut version = 0;
    for _ in 0..INCREMENTS {
        loop {
            match store.append(to("counter", exactly(version), 1)).await {
                Ok(receipt) => {
                    version = receipt.streams[0].1.get();
                    break;
                }
                Err(AppendError::Conflict { actual, .. }) => version = actual.get(),
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

/// Answers how many values it got.
async fn claim_all(store: EventStore, writer: usize) -> i64 {
    let mut got = 0;
    for value in 0..VALUES {
        let name = format!("claim-{value}-{writer}");
        let mut append = to(&name, ExpectedVersion::NO_STREAM, 1);
        append.claims.push(Claim::new("test.value", value.to_string(), stream(&name)));
        match store.append(append).await {
            Ok(_) => got += 1,
            Err(AppendError::ClaimTaken { holder, .. }) => assert_ne!(holder, stream(&name)),
            Err(error) => panic!("{error:?}"),
        }
    }
    got
}

/// A course has some seats, and no stream that holds it.
async fn take_a_seat(store: EventStore, student: usize) -> bool {
    let tag = Tag::new("course:1").expect("a short name");
    let query = Query::nothing().or(QueryItem::tagged([tag.clone()]).of_types(["test.seat-taken"]));
    let name = format!("seat-{student}");
    loop {
        let taken = store.read_matching(&query, Position::START).await.expect("an answer");
        if taken.events.len() >= SEATS {
            return false;
        }
        let mut append = to(&name, ExpectedVersion::NO_STREAM, 0);
        append.events.push(NewEvent {
            tags: vec![tag.clone()],
            ..NewEvent::new(stream(&name), EventType::new("test.seat-taken", 1), "{}")
        });
        append.conditions.push(Condition { after: taken.reached, query: query.clone() });
        match store.append(append).await {
            Ok(_) => return true,
            Err(AppendError::ConditionFailed { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Of many one gets it, and moves it in a transaction.
async fn lease(store: EventStore) -> bool {
    let leased = Cursor::lease(store.pool(), "test").await.expect("an answer");
    let Some(mut cursor) = leased else { return false };
    let mut transaction = store.pool().begin().await.expect("a transaction");
    let to = Position::new(1);
    cursor.advance(&mut transaction, to).await.expect("it is mine");
    let before = Cursor::peek(store.pool(), "test").await.expect("an answer");
    assert_eq!(before, Some(Position::START), "not before the commit");
    transaction.commit().await.expect("committed");
    cursor.committed(to);
    cursor.renew(store.pool()).await.expect("it is mine");
    assert_eq!(Cursor::peek(store.pool(), "test").await.expect("an answer"), Some(to));
    true
}

/// Reads the whole log, and a stream of it, again and again.
async fn read_on(store: EventStore, is_over: Arc<AtomicBool>) -> usize {
    let mut seen = 0;
    let mut times = 0;
    while !is_over.load(Ordering::Relaxed) {
        let log = log(&store).await;
        assert!(log.len() >= seen, "nothing was lost");
        seen = log.len();
        let own = store.read_stream(&stream("own-1"), StreamSlice::ALL);
        let own: Vec<_> = own.try_collect().await.expect("a stream");
        let back = store.read_stream(&stream("own-1"), StreamSlice::backward());
        let back: Vec<_> = back.try_collect().await.expect("a stream");
        let versions = |events: &[eventstore::RecordedEvent]| -> Vec<i64> {
            events.iter().map(|event| event.version.get()).collect()
        };
        assert!(versions(&own).into_iter().eq(1..=i64::try_from(own.len()).expect("small")));
        assert!(back.len() >= own.len() && versions(&back).is_sorted_by(|a, b| *a == *b + 1));
        times += 1;
    }
    times
}

/// The largest that may be appended: more than a pooler reads at a time.
pub(crate) async fn large(site: &Site) -> String {
    let database = site.database().await;
    let store = site.store(&database).await;
    let payload = |letter: char| {
        let text: String = std::iter::repeat_n(letter, 512 * 1024 - 2).collect();
        format!("\"{text}\"")
    };
    let mut writers = JoinSet::new();
    for letter in 'a'..='h' {
        let (store, payload) = (store.clone(), payload(letter));
        writers.spawn(async move {
            let name = format!("large-{letter}");
            let mut append = to(&name, exactly(0), 4);
            for event in &mut append.events {
                event.payload.clone_from(&payload);
            }
            store.append(append).await.expect("appended");
        });
    }
    for number in 0..8 {
        let store = store.clone();
        writers.spawn(async move {
            let append = to(&format!("many-{number}"), exactly(0), 500);
            store.append(append).await.expect("appended");
        });
    }
    writers.join_all().await;
    for letter in 'a'..='h' {
        let events = store.read_stream(&stream(&format!("large-{letter}")), StreamSlice::ALL);
        let events: Vec<_> = events.try_collect().await.expect("a stream");
        assert_eq!(events.len(), 4);
        assert!(events.iter().all(|event| event.payload == payload(letter)));
    }
    let short = log(&store).await;
    assert_eq!(short.len(), 8 * 4 + 8 * 500);
    // A long stream, of several pages.
    for round in 0..5 {
        store.append(to("long", exactly(round * 500), 500)).await.expect("appended");
    }
    let long = store.read_stream(&stream("long"), StreamSlice::ALL);
    let long: Vec<_> = long.try_collect().await.expect("a stream");
    assert!(long.iter().map(|event| event.version.get()).eq(1..=2_500));
    let mut whole = short;
    whole.extend(long);
    assert_gapless(&whole);
    format!("{} events, 32 of them of 512 KiB", whole.len())
}
