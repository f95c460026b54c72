//! A repository with a keyring seals and opens on the way: events, snapshots, states in memory.

use std::sync::Arc;
use std::time::Duration;

use eventstore::aggregate::{
    Aggregate, CodecError, Command, DomainEvent, ExecuteError, Repository, Settings, SnapshotPolicy,
};
use eventstore::evolution::Evolution;
use eventstore::{
    CommandId, EventStore, EventType, Fingerprint, Keyring, KeyringError, Personal, Receipt,
    StreamId,
};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use testkit::eventually;

use super::{erase, keyring, metadata, subject};
use crate::support::{id, log, stream};

#[derive(Debug, Clone, Serialize, Deserialize)]
struct EmailChanged {
    email: Personal<String>,
}

impl DomainEvent for EmailChanged {
    fn event_type(&self) -> EventType {
        EventType::new("test.email-changed", 1)
    }

    fn encode(&self) -> Result<String, CodecError> {
        Ok(serde_json::to_string(self)?)
    }

    fn decode(_: &EventType, payload: &str) -> Result<Self, CodecError> {
        Ok(serde_json::from_str(payload)?)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Customer {
    email: Option<Personal<String>>,
    changes: u32,
}

impl Customer {
    fn email(&self) -> Option<&str> {
        self.email.as_ref()?.value().map(String::as_str)
    }
}

impl Aggregate for Customer {
    type Event = EmailChanged;

    const SNAPSHOTS: SnapshotPolicy = SnapshotPolicy::every(3, 1);

    fn initial() -> Self {
        Self { email: None, changes: 0 }
    }

    fn evolve(self, event: &EmailChanged) -> Self {
        Self { email: Some(event.email.clone()), changes: self.changes + 1 }
    }
}

fn customers(store: &EventStore, keyring: &Keyring) -> Repository<Customer> {
    Repository::new(store.clone(), Arc::new(Evolution::default()), Settings::default())
        .with_keyring(keyring.clone())
}

fn command() -> Command {
    let id = CommandId::new(id());
    Command { id, fingerprint: Fingerprint::of(b""), metadata: metadata() }
}

async fn change(
    customers: &Repository<Customer>,
    of: &StreamId,
    email: &str,
) -> Result<(), ExecuteError<()>> {
    let command = command();
    let email = || Personal::new(subject("customer:1"), email.to_owned());
    let decide = |_: &Customer| Ok(vec![EmailChanged { email: email() }]);
    customers.execute(of, &command, decide).await.map(drop)
}

async fn snapshot(pool: &PgPool) -> Option<String> {
    let state = "SELECT state::text FROM eventstore.snapshots";
    sqlx::query_scalar(state).fetch_optional(pool).await.unwrap()
}

#[tokio::test]
async fn states_and_snapshots_are_sealed_and_read_as_erased() {
    let (database, store) = log().await;
    let (here, there) = (keyring(&store).await, keyring(&store).await);
    let [writing, reading] = [&here, &there].map(|keyring| customers(&store, keyring));
    let of = stream("customer-1");
    for email in ["ada@one.example", "ada@two.example", "ada@three.example"] {
        change(&writing, &of, email).await.unwrap();
    }
    let pool = database.pool();
    let state = eventually(Duration::from_secs(10), "a snapshot", async || {
        snapshot(&pool).await.ok_or("none")
    })
    .await;
    assert!(!state.contains("three.example"), "{state}");
    change(&writing, &of, "ada@four.example").await.unwrap();
    for customers in [&writing, &reading] {
        let customer = customers.load(&of).await.unwrap().state;
        assert_eq!((customer.email(), customer.changes), (Some("ada@four.example"), 4));
    }

    let kept = writing.load(&of).await.unwrap().state;
    erase(&here, "customer:1").await.unwrap();
    assert_eq!(kept.email(), None, "a state that was given out");
    // Here at once, although the state in memory was made from values never read from anywhere.
    let customer = writing.load(&of).await.unwrap().state;
    assert_eq!((customer.email(), customer.changes), (None, 4));
    eventually(Duration::from_secs(10), "erased in another process", async || {
        match reading.load(&of).await.unwrap().state.email() {
            None => Ok(()),
            Some(_) => Err("still readable"),
        }
    })
    .await;
    // From the snapshot and from nothing, too.
    for _ in 0..2 {
        let fresh = customers(&store, &here).load(&of).await.unwrap().state;
        assert_eq!((fresh.email(), fresh.changes), (None, 4));
        sqlx::raw_sql("DELETE FROM eventstore.snapshots").execute(&pool).await.unwrap();
    }
    let refused = change(&writing, &of, "ada@five.example").await;
    assert!(matches!(refused, Err(ExecuteError::Seal(KeyringError::Erased { .. }))), "{refused:?}");
}

#[tokio::test]
async fn a_command_given_again_after_the_erasure_has_its_receipt() {
    let (_database, store) = log().await;
    let keyring = keyring(&store).await;
    let customers = customers(&store, &keyring);
    let (of, command) = (stream("customer-1"), command());
    let email = || Personal::new(subject("customer:1"), "ada@one.example".to_owned());
    let register = |_: &Customer| Ok::<_, ()>(vec![EmailChanged { email: email() }]);
    let first = customers.execute(&of, &command, register).await.unwrap();
    erase(&keyring, "customer:1").await.unwrap();
    let again = customers.execute(&of, &command, register).await.unwrap();
    assert_eq!(again, Receipt { repeated: true, ..first });
}

/// Who waits for a second connection while holding the only one waits for ever.
#[tokio::test]
async fn a_pool_of_one_is_enough_to_read_what_is_sealed() {
    let (database, store) = log().await;
    let writer = keyring(&store).await;
    change(&customers(&store, &writer), &stream("customer-1"), "ada@one.example").await.unwrap();
    let small = PgPoolOptions::new().max_connections(1).connect(database.url()).await.unwrap();
    let small = EventStore::open(small).await.unwrap();
    let reader = keyring(&small).await;
    let customer = customers(&small, &reader).load(&stream("customer-1")).await.unwrap().state;
    assert_eq!(customer.email(), Some("ada@one.example"));
}

#[tokio::test]
async fn without_a_keyring_nothing_personal_is_written() {
    let (_database, store) = log().await;
    let customers: Repository<Customer> =
        Repository::new(store.clone(), Arc::new(Evolution::default()), Settings::default());
    let refused = change(&customers, &stream("customer-1"), "ada@one.example").await;
    assert!(matches!(refused, Err(ExecuteError::Encode(_))), "{refused:?}");
    assert!(crate::support::all(&store).await.is_empty());
}
