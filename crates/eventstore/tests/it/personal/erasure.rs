//! What was erased is readable nowhere, in no process, a second later.
//!
//! Times decide here, because a second is what is promised: each test takes the time when the
//! erasure was acknowledged and looks a second later, which a slow machine makes only later.

use std::time::Duration;

use eventstore::personal::SUBJECT_ERASED;
use eventstore::{
    AppendError, Claim, CommandId, EventStore, ExpectedVersion, Filter, Keyring, KeyringError,
    Personal, Place, Position, Subject,
};
use futures_util::TryStreamExt;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use testkit::{Line, Postgres, TestDatabase};
use tokio::time::Instant;

use super::{
    because, emails, erase, keyring, metadata, read, register, registrations, sealed, subject,
};
use crate::support::{MIGRATOR, append, assert_gapless, exactly, id, log, stream, to};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn it_reads_as_erased_and_the_log_says_so_and_stays_as_it_was() {
    let (_database, store) = log().await;
    let keyring = keyring(&store).await;
    register(&store, &keyring, "a", "customer:1", "ada@example.org").await;
    register(&store, &keyring, "b", "customer:2", "bob@example.org").await;
    let before = registrations(&store).await;
    let opened = read(&keyring, &before).await.unwrap();
    let receipt = erase(&keyring, "customer:1").await.unwrap();

    assert_eq!(emails(&store, &keyring).await, [None, Some("bob@example.org".to_owned())]);
    assert!(opened[0].email.is_erased(), "also what was opened before");
    assert_eq!(format!("{:?}", opened[0].email), "Personal(customer:1, erased)");
    let after = registrations(&store).await;
    assert_eq!(before[0].payload, after[0].payload, "nothing of the log was changed");
    let everything = store.read_log(Filter::everything(), Position::START, Position::MAX);
    let everything: Vec<_> = everything.try_collect().await.unwrap();
    assert_gapless(&everything);
    let said = everything.last().unwrap();
    assert_eq!((&*said.event_type.name, said.position), (SUBJECT_ERASED, receipt.position));
    assert_eq!(said.stream.as_str(), "eventstore.subject-customer:1");
    assert_eq!(said.payload, r#"{"subject":"customer:1"}"#);
}

#[tokio::test]
async fn the_same_command_erases_once_and_another_adds_no_event() {
    let (_database, store) = log().await;
    let keyring = keyring(&store).await;
    register(&store, &keyring, "a", "customer:1", "ada@example.org").await;
    let (of, command) = (subject("customer:1"), CommandId::new(id()));
    let first = keyring.erase(&of, command, metadata()).await.unwrap();
    let again = keyring.erase(&of, command, metadata()).await.unwrap();
    assert!(!first.repeated && again.repeated);
    assert_eq!((first.position, &first.streams), (again.position, &again.streams));
    let other = keyring.erase(&subject("customer:2"), command, metadata()).await;
    assert!(matches!(other, Err(AppendError::OtherBody { .. })), "{other:?}");
    let another = erase(&keyring, "customer:1").await.unwrap();
    assert!(another.streams.is_empty() && another.position == first.position);
    let at_once = (0..8).map(|_| erase(&keyring, "customer:3"));
    for outcome in futures_util::future::join_all(at_once).await {
        outcome.unwrap();
    }
    assert_eq!(store.head().await.unwrap(), Position::new(3), "an event for each subject");
}

#[tokio::test]
async fn an_erased_subject_takes_no_new_data_and_its_claims_are_free() {
    let (_database, store) = log().await;
    let keyring = keyring(&store).await;
    let claim = async |name: &str, of: &str, email: &str| {
        let mut command = to(name, exactly(0), 1);
        let digests = keyring.digests().await.unwrap();
        command.claims.push(digests.claim("email", email, stream(name), subject(of)));
        append(&store, command).await
    };
    claim("a", "customer:1", "ada@example.org").await.unwrap();
    let taken = claim("b", "customer:2", "ada@example.org").await;
    assert!(matches!(taken, Err(AppendError::ClaimTaken { .. })), "{taken:?}");
    erase(&keyring, "customer:1").await.unwrap();
    claim("b", "customer:2", "ada@example.org").await.unwrap();
    let refused = claim("c", "customer:1", "eve@example.org").await;
    assert!(matches!(refused, Err(AppendError::SubjectErased { .. })), "{refused:?}");

    let other = super::keyring(&EventStore::open(store.pool().clone()).await.unwrap()).await;
    for keyring in [&keyring, &other] {
        let refused = sealed(keyring, "a", "customer:1", "eve@example.org").await.unwrap_err();
        assert!(matches!(because(refused), KeyringError::Erased { .. }));
    }
    // Nobody ever wrote of this one, and nobody will.
    erase(&keyring, "customer:9").await.unwrap();
    let refused = sealed(&other, "a", "customer:9", "eve@example.org").await.unwrap_err();
    assert!(matches!(because(refused), KeyringError::Erased { .. }));
    for statement in [
        "DELETE FROM eventstore.subject_keys",
        "UPDATE eventstore.subject_keys SET erased_at = NULL, key_id = gen_random_uuid(), \
         wrapped_key = '', wrapped_by = 'x'",
    ] {
        assert!(sqlx::query(statement).execute(store.pool()).await.is_err(), "{statement}");
    }
}

#[tokio::test]
async fn a_snapshot_of_what_is_erased_holds_nothing_of_it() {
    let (_database, store) = log().await;
    let keyring = keyring(&store).await;
    register(&store, &keyring, "a", "customer:1", "ada@example.org").await;
    let state = read(&keyring, &registrations(&store).await).await.unwrap();
    let place = Place::other("snapshot:a");
    let before = keyring.seal(&place, || serde_json::to_string(&state)).await.unwrap();
    erase(&keyring, "customer:1").await.unwrap();
    let after = keyring.seal(&place, || serde_json::to_string(&state)).await.unwrap();
    let erased = r#"[{"plan":"basic","email":{"subject":"customer:1","erased":true}}]"#;
    assert_eq!(after, erased);
    for snapshot in [before, after] {
        let open = || serde_json::from_str::<Vec<super::Registered>>(&snapshot);
        let opened = keyring.open(&place, open).await.unwrap();
        assert_eq!(opened[0].email, Personal::erased(subject("customer:1")));
    }
}

/// A store and keyring of another process, which has read the address and keeps what it read.
struct Other {
    store: EventStore,
    keyring: Keyring,
    kept: Personal<String>,
    mark: eventstore::personal::Mark,
}

impl Other {
    async fn on(pool: PgPool) -> Self {
        let store = EventStore::open(pool).await.unwrap();
        let keyring = keyring(&store).await;
        let mark = keyring.mark();
        let read = read(&keyring, &registrations(&store).await).await.unwrap();
        let kept = read[0].email.clone();
        assert_eq!(kept.value().unwrap(), "ada@example.org");
        testkit::eventually(Duration::from_secs(20), "the mark to hold", async || {
            if keyring.holds(mark) { Ok(()) } else { Err("not asked in time") }
        })
        .await;
        Self { store, keyring, kept, mark }
    }

    /// Looks a second after `erased`.
    async fn must_have_forgotten(&self, erased: Instant) {
        tokio::time::sleep_until(erased + SECOND).await;
        assert!(!self.keyring.holds(self.mark), "what is kept is not to be used");
        assert_eq!(emails(&self.store, &self.keyring).await, [None]);
    }

    async fn hears_of_it(&self) {
        testkit::eventually(Duration::from_secs(20), "the erasure to be known", async || {
            if self.kept.is_erased() { Ok(()) } else { Err("readable") }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_process_forgets_within_a_second() {
    let (database, store) = log().await;
    let keyring = keyring(&store).await;
    register(&store, &keyring, "a", "customer:1", "ada@example.org").await;
    let pool = PgPool::connect(database.url()).await.unwrap();
    let other = Other::on(pool).await;
    erase(&keyring, "customer:1").await.unwrap();
    other.must_have_forgotten(Instant::now()).await;
    other.hears_of_it().await;
}

/// What an erasure does, without a notification.
async fn erase_silently(pool: &PgPool, of: &Subject) {
    sqlx::query(
        "UPDATE eventstore.subject_keys SET key_id = NULL, wrapped_key = NULL, wrapped_by = NULL, \
         erased_at = clock_timestamp(), erased_position = 1000 WHERE subject = $1",
    )
    .bind(of.as_str())
    .execute(pool)
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_notification_changes_nothing() {
    let (database, store) = log().await;
    let keyring = keyring(&store).await;
    register(&store, &keyring, "a", "customer:1", "ada@example.org").await;
    let other = Other::on(PgPool::connect(database.url()).await.unwrap()).await;
    erase_silently(store.pool(), &subject("customer:1")).await;
    other.must_have_forgotten(Instant::now()).await;
    other.hears_of_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_listening_connection_changes_nothing() {
    let (database, store) = log().await;
    let keyring = keyring(&store).await;
    register(&store, &keyring, "a", "customer:1", "ada@example.org").await;
    let options: PgConnectOptions = database.url().parse().unwrap();
    let line = Line::to(options.get_host(), options.get_port()).await;
    // Each query takes a new connection, so that only the listening one is frozen.
    let pool = PgPoolOptions::new()
        .max_connections(5)
        .test_before_acquire(false)
        .before_acquire(|_, _| Box::pin(async { Ok(false) }))
        .connect_with(options.host("127.0.0.1").port(line.port()))
        .await
        .unwrap();
    let other = Other::on(pool).await;
    line.fall_silent();
    erase(&keyring, "customer:1").await.unwrap();
    other.must_have_forgotten(Instant::now()).await;
    // It takes another connection by itself.
    other.hears_of_it().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_ask_what_is_erased_asks_for_each_key() {
    let (database, store) = log().await;
    let keyring = keyring(&store).await;
    register(&store, &keyring, "a", "customer:1", "ada@example.org").await;
    let options: PgConnectOptions = database.url().parse().unwrap();
    let line = Line::to(options.get_host(), options.get_port()).await;
    // All that it may have, so that it never asks for one more.
    let pool = PgPoolOptions::new().min_connections(5).max_connections(5);
    let pool = pool.connect_with(options.host("127.0.0.1").port(line.port())).await.unwrap();
    let other = Other::on(pool).await;
    assert_eq!(other.store.pool().size(), 5);

    // The watching connection is gone for good; those of the pool work.
    line.refuse_others();
    let watching = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                    WHERE datname = current_database() AND pid <> pg_backend_pid() \
                    AND query LIKE '%erased_position > $1%'";
    let mut ended = 0;
    testkit::eventually(
        Duration::from_secs(40),
        "the connections of both keyrings to have asked",
        async || {
            let more: i64 = sqlx::query_scalar(watching).fetch_one(store.pool()).await.unwrap();
            ended += more;
            if ended >= 2 { Ok(()) } else { Err(ended) }
        },
    )
    .await;
    tokio::time::sleep(SECOND).await;
    assert!(!other.keyring.holds(other.mark));
    assert_eq!(emails(&other.store, &other.keyring).await, [Some("ada@example.org".to_owned())]);
    erase(&keyring, "customer:1").await.unwrap();
    assert_eq!(emails(&other.store, &other.keyring).await, [None], "at once, nothing is cached");
}

/// The append looks for the tombstone under the order lock, under which the erasure commits.
#[tokio::test]
async fn a_value_that_came_to_be_somebodys_later_is_free_after_the_erasure_too() {
    let (_database, store) = log().await;
    let keyring = keyring(&store).await;
    let claim = async |name: &str, claim: Claim| {
        let mut command = to(name, ExpectedVersion::Any, 1);
        command.claims.push(claim);
        append(&store, command).await
    };
    let of = subject("customer:1");
    let digest =
        keyring.digests().await.unwrap().claim("email", "ada@example.org", stream("a"), of);
    claim("a", Claim { subject: None, ..digest.clone() }).await.unwrap();
    claim("a", digest.clone()).await.unwrap();
    erase(&keyring, "customer:1").await.unwrap();
    let free = Claim { stream: stream("b"), subject: None, ..digest };
    claim("b", free).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_claim_survives_an_erasure_at_the_same_time() {
    let (_database, store) = log().await;
    let keyring = keyring(&store).await;
    let claims = (0..40).map(|number| {
        let (store, keyring) = (store.clone(), keyring.clone());
        tokio::spawn(async move {
            let name = format!("a-{number}");
            let mut command = to(&name, exactly(0), 1);
            let (value, of) = (number.to_string(), subject("customer:1"));
            let digests = keyring.digests().await.unwrap();
            command.claims.push(digests.claim("number", &value, stream(&name), of));
            match append(&store, command).await {
                Ok(_) | Err(AppendError::SubjectErased { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
        })
    });
    let claims: Vec<_> = claims.collect();
    erase(&keyring, "customer:1").await.unwrap();
    for claim in claims {
        claim.await.unwrap();
    }
    let left = sqlx::query_scalar("SELECT count(*) FROM eventstore.claims");
    let left: i64 = left.fetch_one(store.pool()).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_database_nothing_is_readable_after_a_second() {
    let postgres = tokio::task::block_in_place(Postgres::start_ephemeral).unwrap();
    let database = TestDatabase::create_on(&postgres, &MIGRATOR).await;
    let store = EventStore::open(database.pool()).await.unwrap();
    let keyring = keyring(&store).await;
    register(&store, &keyring, "a", "customer:1", "ada@example.org").await;
    let options = PgPoolOptions::new().acquire_timeout(SECOND);
    let other = Other::on(options.connect(database.url()).await.unwrap()).await;
    let events = registrations(&store).await;

    postgres.pause();
    let frozen = Instant::now();
    tokio::time::sleep_until(frozen + SECOND).await;
    assert!(!other.keyring.holds(other.mark));
    let refused = because(read(&other.keyring, &events).await.unwrap_err());
    assert!(matches!(refused, KeyringError::Database { .. }), "{refused}");
    postgres.resume();
    testkit::eventually(Duration::from_mins(1), "to be readable again", async || {
        let read = read(&other.keyring, &events).await.map_err(|error| error.to_string())?;
        if other.keyring.holds(other.mark) { Ok(read) } else { Err("not trusted".to_owned()) }
    })
    .await;
}
