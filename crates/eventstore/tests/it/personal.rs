//! Personal data is readable until its subject is erased, and then nowhere (law 9).

mod aggregates;
mod erasure;
mod keys;
mod round_trip;
mod secrecy;

use std::num::NonZeroUsize;

use eventstore::{
    AppendError, CommandId, EventStore, EventType, ExpectedVersion, Filter, KeyEncryptionKeys,
    Keyring, KeyringError, Metadata, NewEvent, Personal, PersonalError, Place, Position, Receipt,
    RecordedEvent, Subject,
};
use futures_util::TryStreamExt;
use serde::{Deserialize, Serialize};

use crate::support::{append, id, stream, to};

/// An event with a personal field and one that is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Registered {
    plan: String,
    email: Personal<String>,
}

const REGISTERED: &str = "test.registered";

fn subject(name: &str) -> Subject {
    Subject::new(name).unwrap()
}

fn key_encryption_keys() -> KeyEncryptionKeys {
    KeyEncryptionKeys::new("first", [1; 32]).unwrap()
}

/// A keyring over `store` that caches few keys.
async fn keyring(store: &EventStore) -> Keyring {
    keyring_with(store, key_encryption_keys()).await
}

async fn keyring_with(store: &EventStore, keys: KeyEncryptionKeys) -> Keyring {
    Keyring::connect(store, keys, NonZeroUsize::new(8).unwrap()).await.unwrap()
}

fn metadata() -> Metadata {
    let correlation_id = id();
    Metadata {
        actor: "test".to_owned(),
        tenant: None,
        correlation_id,
        causation_id: None,
        trace: None,
    }
}

type Sealing = PersonalError<serde_json::Error>;

/// Seals an event of the stream `name` that says something of `of`.
async fn sealed(keyring: &Keyring, name: &str, of: &str, email: &str) -> Result<NewEvent, Sealing> {
    let email = Personal::new(subject(of), email.to_owned());
    let event = Registered { plan: "basic".to_owned(), email };
    let name = stream(name);
    let payload = keyring.seal(&Place::event(&name), || serde_json::to_string(&event)).await?;
    Ok(NewEvent::new(name, EventType::new(REGISTERED, 1), payload))
}

/// Seals and appends an event that says something of `of`, on the stream `name`.
async fn register(store: &EventStore, keyring: &Keyring, name: &str, of: &str, email: &str) {
    let mut command = to(name, ExpectedVersion::Any, 0);
    command.events.push(sealed(keyring, name, of, email).await.unwrap());
    append(store, command).await.unwrap();
}

async fn registrations(store: &EventStore) -> Vec<RecordedEvent> {
    let filter = Filter::types([REGISTERED]);
    store.read_log(filter, Position::START, Position::MAX).try_collect().await.unwrap()
}

async fn read(keyring: &Keyring, events: &[RecordedEvent]) -> Result<Vec<Registered>, Sealing> {
    keyring.open_events(events, |event| serde_json::from_str(&event.payload)).await
}

/// What the log says of e-mail addresses.
async fn emails(store: &EventStore, keyring: &Keyring) -> Vec<Option<String>> {
    let events = read(keyring, &registrations(store).await).await.unwrap();
    events.into_iter().map(|event| event.email.into_value()).collect()
}

async fn erase(keyring: &Keyring, of: &str) -> Result<Receipt, AppendError> {
    keyring.erase(&subject(of), CommandId::new(id()), metadata()).await
}

fn because(error: Sealing) -> KeyringError {
    match error {
        PersonalError::Keyring(error) => error,
        PersonalError::Codec(error) => panic!("the keyring refuses, not the codec: {error}"),
    }
}
