//! What is on the wire, and what is read from it.

use std::collections::BTreeMap;

use async_nats::jetstream::message::StreamMessage;
use eventstore::{LogId, Metadata, Position, RecordedEvent, StreamVersion};
use relay::cloud_event::{HEADERS, Presence, structured};
use relay::{IncomingMessage, MalformedMessage, MessageType, Namespace, Rendered};
use serde_json::Value;
use uuid::Uuid;

use crate::world::{World, header};

#[tokio::test]
async fn a_message_is_a_cloud_event_in_binary_mode() {
    let world = World::new().await;
    world.append(1).await;
    world.append_with(&[Some("testing.it-happened.v1")], full()).await;
    let publisher = world.publisher();
    world.complete().await;

    let messages = world.messages().await;
    let message = messages.last().unwrap();
    let log = world.log();
    let namespace = &world.namespace;
    let event = &world.store.read_outbox(Position::new(1), 1).await.unwrap()[0].event;
    let id = event.id.to_string();
    let mut headers: Vec<(String, String)> = message
        .headers
        .iter()
        .map(|(name, values)| (name.to_string(), values.iter().map(ToString::to_string).collect()))
        .collect();
    // Conditions of publishing, no part of the contract.
    headers.retain(|(name, _)| !name.starts_with("Nats-Expected-"));
    headers.sort();
    let expected = [
        ("Nats-Msg-Id", id.clone()),
        ("ce-causationid", "00000000-0000-0000-0000-0000000000ca".to_owned()),
        ("ce-commandid", event.command_id.to_string()),
        ("ce-correlationid", "00000000-0000-0000-0000-0000000000c0".to_owned()),
        ("ce-dataschema", "urn:annals:schema:testing.it-happened.v1".to_owned()),
        ("ce-id", id.clone()),
        ("ce-position", "2".to_owned()),
        ("ce-sequence", "2".to_owned()),
        ("ce-source", format!("urn:uuid:{log}")),
        ("ce-specversion", "1.0".to_owned()),
        ("ce-subject", "testing.thing-1".to_owned()),
        ("ce-tenant", "00000000-0000-0000-0000-00000000007e".to_owned()),
        ("ce-time", event.recorded_at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()),
        ("ce-traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        ("ce-type", format!("{namespace}.testing.it-happened.v1")),
        ("content-type", "application/json".to_owned()),
    ];
    let expected: Vec<_> =
        expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(headers, expected);
    assert_eq!(message.subject.as_str(), format!("{namespace}.testing.it-happened.v1"));
    assert_eq!(message.payload, r#"{"version":2}"#.as_bytes(), "the public message, not the event");

    assert_same_as_json(namespace, log, event, &headers);

    let received = async_nats::Message {
        subject: message.subject.clone(),
        reply: None,
        payload: message.payload.clone(),
        headers: Some(message.headers.clone()),
        status: None,
        description: None,
        length: 0,
    };
    let read = IncomingMessage::parse(namespace, &received).unwrap();
    assert_eq!(
        read,
        IncomingMessage {
            id: event.id.get(),
            message_type: MessageType { name: "testing.it-happened".to_owned(), version: 1 },
            source: log,
            subject: "testing.thing-1".to_owned(),
            sequence: StreamVersion::new(2),
            position: Position::new(2),
            ordinal: None,
            is_late: false,
            time: event.recorded_at,
            command_id: event.command_id.get(),
            correlation_id: Uuid::from_u128(0xc0),
            causation_id: Some(Uuid::from_u128(0xca)),
            tenant: Some(Uuid::from_u128(0x7e)),
            trace: Some(header(message, "ce-traceparent").to_owned()),
            data: r#"{"version":2}"#.to_owned(),
        }
    );

    for (name, value, expected) in [
        ("ce-id", None, MalformedMessage::Missing { name: "ce-id" }),
        ("ce-specversion", Some("0.3"), invalid("ce-specversion", "0.3")),
        ("ce-position", Some("0"), invalid("ce-position", "0")),
        ("ce-tenant", Some("acme"), invalid("ce-tenant", "acme")),
        ("ce-source", Some("/somewhere"), invalid("ce-source", "/somewhere")),
        (
            "ce-type",
            Some("other.testing.it-happened.v1"),
            invalid("ce-type", "other.testing.it-happened.v1"),
        ),
    ] {
        let mut broken = received.clone();
        let headers = broken.headers.as_mut().unwrap();
        match value {
            Some(value) => headers.insert(name, value),
            None => {
                *headers = headers
                    .iter()
                    .filter(|(key, _)| key.to_string() != name)
                    .map(|(key, values)| (key.clone(), values[0].clone()))
                    .collect();
            }
        }
        assert_eq!(IncomingMessage::parse(namespace, &broken), Err(expected));
    }
    publisher.stop().await;
}

/// The same attributes are in the message as one JSON text, each without its `ce-`.
fn assert_same_as_json(
    namespace: &Namespace,
    log: LogId,
    event: &RecordedEvent,
    headers: &[(String, String)],
) {
    let render = |_: &RecordedEvent| {
        let (subject, body) = ("testing.it-happened.v1".to_owned(), r#"{"version":2}"#.to_owned());
        Ok(Some(Rendered { subject, body }))
    };
    let told = structured(namespace, log, event, &render).unwrap().unwrap();
    assert_eq!(told.message_type, "testing.it-happened.v1");
    let mut json: BTreeMap<String, Value> = serde_json::from_str(&told.json).unwrap();
    assert_eq!(json.remove("data"), Some(serde_json::json!({ "version": 2 })));
    assert_eq!(json.remove("datacontenttype"), Some("application/json".into()));
    let attributes = headers.iter().filter_map(|(name, value)| {
        Some((name.strip_prefix("ce-")?.to_owned(), Value::from(value.as_str())))
    });
    assert_eq!(json, attributes.collect());
}

#[tokio::test]
async fn the_headers_that_are_sent_are_those_that_are_described() {
    let world = World::new().await;
    world.append(1).await;
    world.append_with(&[Some("testing.it-happened.v1")], full()).await;
    let publisher = world.publisher();
    world.complete().await;
    let messages = world.messages().await;
    assert_is_what_is_described(&messages[0], false);
    assert_is_what_is_described(&messages[1], true);
    publisher.stop().await;
}

/// Metadata with everything that can be in it.
fn full() -> Metadata {
    Metadata {
        actor: "somebody".to_owned(),
        tenant: Some(Uuid::from_u128(0x7e)),
        correlation_id: Uuid::from_u128(0xc0),
        causation_id: Some(Uuid::from_u128(0xca)),
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    }
}

/// The message has the headers that are always there, and those that are sometimes there if it
/// `has_everything`.
fn assert_is_what_is_described(message: &StreamMessage, has_everything: bool) {
    let mut described: Vec<String> = HEADERS
        .iter()
        .filter(|header| {
            // Neither late nor behind an event, and nobody records traces: that is for other tests.
            let is_other = ["ce-ordinal", "ce-late", "traceparent"].contains(&header.name);
            has_everything && !is_other
                || header.presence == Presence::Always
                || header.name == "Nats-Msg-Id"
        })
        .map(|header| header.name.to_owned())
        .collect();
    described.sort_unstable();
    let mut sent: Vec<String> = message.headers.iter().map(|(name, _)| name.to_string()).collect();
    // Conditions of publishing, no part of the contract.
    sent.retain(|name| !name.starts_with("Nats-Expected-"));
    sent.sort_unstable();
    assert_eq!(sent, described);
}

fn invalid(name: &'static str, value: &str) -> MalformedMessage {
    MalformedMessage::Invalid { name, value: value.to_owned() }
}
