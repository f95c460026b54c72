//! Writes a personal field, reads it, erases its subject, and reads it again.
//!
//! ```sh
//! DATABASE_URL=postgres://… cargo run -p eventstore --example personal_data
//! ```
//!
//! The database must have the schema of `migrations/`. Each run takes a subject of its own.

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::num::NonZeroUsize;
use std::time::Instant;

use eventstore::{
    Append, CommandId, EventStore, EventType, ExpectedVersion, KeyEncryptionKeys, Keyring,
    Metadata, NewEvent, Personal, Place, StreamId, StreamSlice, Subject,
};
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

#[derive(Debug, Serialize, Deserialize)]
struct CustomerRegistered {
    plan: String,
    email: Personal<String>,
}

#[tokio::main]
#[expect(clippy::disallowed_methods, reason = "an example has no configuration and no ids to take")]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = EventStore::open(PgPool::connect(&std::env::var("DATABASE_URL")?).await?).await?;
    // Never from the source code but here: it comes from configuration, and is kept elsewhere than
    // the backups of the database.
    let keys = KeyEncryptionKeys::new("example", [7; 32])?;
    let keyring = Keyring::connect(&store, keys, NonZeroUsize::new(10_000).ok_or("0")?).await?;

    let customer = Uuid::now_v7();
    let subject = Subject::new(format!("customer:{customer}"))?;
    let stream = StreamId::new(format!("example.customer-{customer}"))?;
    let email = format!("ada+{customer}@example.org");

    // 1. Write. Only inside of `seal` can the event be serialized at all.
    let event = CustomerRegistered {
        plan: "basic".to_owned(),
        email: Personal::new(subject.clone(), email.clone()),
    };
    let place = Place::event(&stream);
    let payload = keyring.seal(&place, || serde_json::to_string(&event)).await?;
    println!("stored   {payload}");
    let metadata = Metadata {
        actor: "example".to_owned(),
        tenant: None,
        correlation_id: customer,
        causation_id: None,
        trace: None,
    };
    let digests = keyring.digests().await?;
    let fingerprint = digests.fingerprint(email.as_bytes());
    store
        .append(Append {
            expectations: vec![(stream.clone(), ExpectedVersion::NO_STREAM)],
            events: vec![NewEvent::new(
                stream.clone(),
                EventType::new("example.customer-registered", 1),
                payload,
            )],
            // Unique as long as the subject is not erased, and stored as a digest only.
            claims: vec![digests.claim("example.email", &email, stream.clone(), subject.clone())],
            ..Append::new(CommandId::new(Uuid::now_v7()), fingerprint, metadata.clone())
        })
        .await?;

    // 2. Read.
    let events: Vec<_> = store.read_stream(&stream, StreamSlice::ALL).try_collect().await?;
    let decode = |event: &eventstore::RecordedEvent| {
        serde_json::from_str::<CustomerRegistered>(&event.payload)
    };
    let opened = keyring.open_events(&events, decode).await?;
    println!("opened   {:?}, email {:?}", opened[0], opened[0].email.value());

    let begun = Instant::now();
    let times = 10_000;
    for _ in 0..times {
        keyring.open_events(&events, decode).await?;
    }
    println!("takes    {:?} an event, key cached", begun.elapsed() / times);

    // 3. Erase.
    keyring.erase(&subject, CommandId::new(Uuid::now_v7()), metadata).await?;
    println!("opened before the erasure: {:?}", opened[0].email);
    let opened = keyring.open_events(&events, decode).await?;
    println!("opened after it:           {:?}", opened[0]);

    let new = Personal::new(subject, "new@example.org".to_owned());
    let refused = keyring.seal(&place, || serde_json::to_string(&new)).await;
    println!("written after it:          {}", refused.err().ok_or("it was written")?);
    Ok(())
}
