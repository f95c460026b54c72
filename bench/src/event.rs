//! The event that everybody writes: about 300 bytes of JSON and 100 of metadata.

use eventstore::{
    Append, CommandId, EventType, ExpectedVersion, Fingerprint, Metadata, NewEvent, StreamId,
    StreamVersion,
};
use uuid::Uuid;

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

#[expect(clippy::disallowed_methods, reason = "nobody repeats a benchmark id by id")]
pub(crate) fn id() -> Uuid {
    Uuid::now_v7()
}

pub(crate) fn stream(id: Uuid) -> StreamId {
    StreamId::new(format!("ordering.order-{id}")).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn metadata(correlation_id: Uuid) -> Metadata {
    let trace = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned());
    Metadata { actor: "customer-4711".to_owned(), correlation_id, causation_id: None, trace }
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
