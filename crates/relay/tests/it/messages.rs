//! Messages that are no events are published behind theirs, each once, wherever it was cut off.

use async_nats::jetstream::message::PublishMessage;
use eventstore::{
    Append, CommandId, EventType, ExpectedVersion, Fingerprint, Metadata, NewEvent, NewMessage,
    StreamId, StreamVersion,
};
use relay::IncomingMessage;
use testkit::eventually;
use uuid::Uuid;

use crate::world::{LIMIT, World, header};

const ASKED: &str = "testing.asked.v1";

/// Appends a private event with two messages.
async fn ask(world: &World) -> Vec<Uuid> {
    let (event_stream, about) = ("testing.thing-2", "testing.thing-3");
    let stream = StreamId::new(event_stream).unwrap();
    let messages = ["{\"n\": 1}", "2"].map(|body| NewMessage {
        id: world.id(),
        stream: StreamId::new(about).unwrap(),
        subject: ASKED.to_owned(),
        body: body.to_owned(),
    });
    let ids = messages.iter().map(|message| message.id).collect();
    let metadata = Metadata {
        actor: "test".to_owned(),
        tenant: Some(Uuid::from_u128(0x7e)),
        correlation_id: world.id(),
        causation_id: None,
        trace: None,
    };
    let append = Append {
        events: vec![NewEvent::new(
            stream.clone(),
            EventType::new("testing.it-stirred", 1),
            r#"{"secret":"seed"}"#,
        )],
        messages: messages.into(),
        expectations: vec![(stream, ExpectedVersion::Any)],
        ..Append::new(CommandId::new(world.id()), Fingerprint::of(b""), metadata)
    };
    world.store.append(append).await.unwrap();
    ids
}

/// Waits until the stream holds `expected` messages, and gives their ids.
async fn published(world: &World, expected: usize) -> Vec<String> {
    eventually(LIMIT, "all messages", || async {
        let context = world.context().await;
        let stream = context.get_stream(world.namespace.stream_name()).await;
        let sequence = stream.map_err(|error| error.to_string())?.cached_info().state.last_sequence;
        if sequence == expected as u64 { Ok(()) } else { Err(sequence.to_string()) }
    })
    .await;
    world.messages().await.iter().map(|message| header(message, "ce-id").to_owned()).collect()
}

#[tokio::test]
async fn publishing_resumes_in_the_middle_of_a_position() {
    let world = World::new().await;
    world.append(1).await; // 1, public
    let asked = ask(&world).await; // 2, private, with two messages
    world.append(1).await; // 3, public
    let publisher = world.publisher();
    let ids = published(&world, 4).await;
    let expected: Vec<_> = asked.iter().map(ToString::to_string).collect();
    assert_eq!(ids[1..3], expected);
    publisher.stop().await;

    let context = world.context().await;
    let kept = world.messages().await;
    let config = world.stream().await.cached_info().config.clone();
    // The stream lost its end, anywhere; the cursor is behind everything, and then before it.
    for (left, cursor) in (0..=4).flat_map(|left| [(left, 3), (left, 0), (left, 1), (left, 2)]) {
        context.delete_stream(&config.name).await.unwrap();
        context.create_stream(&config).await.unwrap();
        for message in &kept[..left] {
            let again = PublishMessage::build()
                .payload(message.payload.clone())
                .headers(message.headers.clone());
            context.send_publish(message.subject.clone(), again).await.unwrap().await.unwrap();
        }
        world.set_cursor(cursor).await;
        let mut publisher = world.publisher();
        assert_eq!(published(&world, 4).await, ids, "{left} were left, the cursor at {cursor}");
        publisher.reaches("the end", |state| state.position.get() == 3).await;
        publisher.stop().await;
    }
}

#[tokio::test]
async fn a_message_says_where_it_stands_and_what_it_is_about() {
    let world = World::new().await;
    let asked = ask(&world).await;
    let publisher = world.publisher();
    published(&world, 2).await;
    let message = &world.messages().await[0];
    assert_eq!((header(message, "ce-position"), header(message, "ce-ordinal")), ("1", "1"));
    assert_eq!(header(message, "Nats-Msg-Id"), asked[0].to_string());
    assert!(!message.headers.iter().any(|(name, _)| name.to_string() == "ce-sequence"));
    let received = async_nats::Message {
        subject: message.subject.clone(),
        reply: None,
        payload: message.payload.clone(),
        headers: Some(message.headers.clone()),
        status: None,
        description: None,
        length: 0,
    };
    let read = IncomingMessage::parse(&world.namespace, &received).unwrap();
    assert_eq!((read.id, read.ordinal), (asked[0], Some(1)));
    assert_eq!(
        (read.message_type.to_string(), read.subject.as_str()),
        (ASKED.to_owned(), "testing.thing-3")
    );
    assert_eq!((read.sequence, read.position.get()), (StreamVersion::START, 1));
    assert_eq!(read.tenant, Some(Uuid::from_u128(0x7e)), "that of its append");
    assert_eq!(read.data, "{\"n\": 1}", "byte for byte");
    publisher.stop().await;
}
