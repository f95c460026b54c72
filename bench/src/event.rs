//! The event that everybody writes: about 300 bytes of JSON and 100 of metadata.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use eventstore::{
    Append, CommandId, EventType, ExpectedVersion, Fingerprint, Metadata, NewEvent, StreamId,
    StreamVersion,
};
use uuid::{Builder, Uuid};

/// What it is called.
pub(crate) const TYPE: &str = "ordering.order-placed";

/// The subject the public would be told on.
pub(crate) const SUBJECT: &str = "ordering.order-placed.v1";

/// About 300 bytes.
pub(crate) fn payload(id: Uuid) -> String {
    format!(
        r#"{{"order_id":"{id}","customer":"customer-4711","lines":[{{"sku":"MUG-BLUE-1","quantity":2,"price":{{"amount":1290,"currency":"EUR"}}}},{{"sku":"TEA-GREEN-250","quantity":1,"price":{{"amount":890,"currency":"EUR"}}}}],"total":{{"amount":3470,"currency":"EUR"}},"placed_at":"2026-01-01T12:00:00Z"}}"#
    )
}

/// In order of time, and made without asking the operating system for random bytes, which would cost
/// more than what is measured.
pub(crate) fn id() -> Uuid {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let mut rest = [0; 10];
    // Twelve bits of the process, of which there are a few, then the number.
    rest[..2].copy_from_slice(&std::process::id().to_be_bytes()[2..]);
    rest[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    let millis = u64::try_from(since_1970.as_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &rest).into_uuid()
}

pub(crate) fn stream(id: Uuid) -> StreamId {
    StreamId::new(format!("ordering.order-{id}")).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn metadata(correlation_id: Uuid) -> Metadata {
    let trace = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
    Metadata {
        actor: "customer-4711".to_owned(),
        tenant: None,
        correlation_id,
        causation_id: None,
        trace,
    }
}

/// One event and one outbox row on the stream `id`, under a command of its own.
pub(crate) fn append(of: Uuid, version: i64) -> Append {
    let (stream, command) = (stream(of), id());
    let event = NewEvent {
        subject: Some(SUBJECT.to_owned()),
        ..NewEvent::new(stream.clone(), EventType::new(TYPE, 1), payload(of))
    };
    Append {
        expectations: vec![(stream, ExpectedVersion::Exact(StreamVersion::new(version)))],
        events: vec![event],
        ..Append::new(CommandId::new(command), Fingerprint::of(b"place order"), metadata(command))
    }
}
