//! Whether the stream is what the log says, and what is said when it is not.

use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::jetstream::message::StreamMessage;
use eventstore::{OutboxPlace, Position};
use relay::verify::watch::{Proof, Watch};
use relay::verify::{Counts, Difference, Range, Verification, verify};
use relay::{ConsumerConfig, Declared, PublisherConfig, RelayState, Told};

use uuid::Uuid;

use crate::world::{Running, SUBJECT, World, header, render};

impl World {
    fn told(&self) -> Told {
        let (store, namespace) = (self.store.clone(), self.namespace.clone());
        Told { store, namespace, render: Arc::new(render) }
    }

    pub(crate) async fn verified(&self, range: Range) -> Verification {
        verify(&self.url.parse().unwrap(), self.told(), range).await.unwrap()
    }

    async fn difference(&self) -> Difference {
        self.verified(Range::default()).await.difference.expect("a difference")
    }

    /// A world whose stream holds the public ones of `events` events, and no publisher.
    async fn published(events: usize) -> Self {
        let world = Self::new().await;
        world.append(events).await;
        let publisher = world.publisher();
        world.complete().await;
        publisher.stop().await;
        world
    }

    /// Puts `messages` at the end of the stream, as somebody who is no relay.
    async fn put(&self, messages: &[StreamMessage], change: impl Fn(&mut HeaderMap)) {
        let context = self.context().await;
        for message in messages {
            let mut headers = HeaderMap::new();
            for (name, values) in message.headers.iter() {
                let name: &str = name.as_ref();
                if !name.starts_with("Nats-") {
                    headers.insert(name, values[0].clone());
                }
            }
            change(&mut headers);
            let subject = self.namespace.subject(SUBJECT);
            let sent = context.publish_with_headers(subject, headers, message.payload.clone());
            sent.await.unwrap().await.unwrap();
        }
    }

    /// Empties the stream and puts `messages` into it.
    async fn refill(&self, messages: &[StreamMessage], change: impl Fn(&mut HeaderMap)) {
        let config = self.stream().await.cached_info().config.clone();
        let context = self.context().await;
        context.delete_stream(&config.name).await.unwrap();
        context.create_stream(&config).await.unwrap();
        self.put(messages, change).await;
    }

    /// Continuous proof of what `publisher` does.
    pub(crate) fn watch(&self, publisher: &Running<RelayState>) -> Running<Proof> {
        let config = PublisherConfig::new(self.url.parse().unwrap(), self.namespace.clone());
        let consumer = ConsumerConfig::new("effects", self.namespace.clone(), [SUBJECT]);
        let declared = Declared { publisher: config, consumers: vec![consumer] };
        let watch = Watch::new(declared, self.told(), publisher.state.clone());
        Running::start(watch.proof(), |stop| watch.run(stop))
    }
}

fn at(position: i64) -> OutboxPlace {
    OutboxPlace::within(Position::new(position), 0)
}

#[tokio::test]
async fn a_healthy_stream_is_proved() {
    let world = World::published(3_000).await;
    let found = world.verified(Range::default()).await;
    assert_eq!(found.difference, None);
    assert_eq!(found.counts, Counts { right: 1_500, ..Counts::default() });
    assert!(found.to >= Position::new(2_999), "{found:?}");
    assert!(found.to_string().starts_with("no gap, no duplicate, no reorder"), "{found}");
    let part = Range { after: Position::new(10), to: Some(Position::new(20)) };
    let found = world.verified(part).await;
    assert_eq!((found.counts.right, found.difference), (5, None), "11, 13, 15, 17, 19");
    let context = world.context().await;
    let left = context.get_stream(world.namespace.stream_name()).await.unwrap();
    assert!(left.cached_info().state.consumer_count <= 2, "readers that the broker removes");
}

#[tokio::test]
async fn a_message_that_was_deleted_is_missing() {
    let world = World::published(40).await;
    let second = header(&world.messages().await[1], "ce-id").parse().unwrap();
    world.stream().await.delete_message(2).await.unwrap();
    let found = world.verified(Range::default()).await;
    let subject = world.namespace.subject(SUBJECT);
    assert_eq!(found.difference, Some(Difference::Missing { place: at(3), id: second, subject }));
    assert_eq!(found.counts.right, 19, "what came behind it was looked at in the same batch");
    // The end is missing too if it is gone.
    let world = World::published(6).await;
    world.stream().await.delete_message(3).await.unwrap();
    assert!(
        matches!(world.difference().await, Difference::Missing { place, .. } if place == at(5))
    );
}

#[tokio::test]
async fn what_retention_removed_in_front_is_said_and_not_missed() {
    let world = World::published(40).await;
    world.stream().await.purge().sequence(8).await.unwrap();
    let found = world.verified(Range::default()).await;
    let counts = Counts { right: 13, removed: 7, ..Counts::default() };
    assert_eq!((found.counts, found.difference), (counts, None));
    world.stream().await.purge().await.unwrap();
    let found = world.verified(Range::default()).await;
    assert_eq!((found.counts.right, found.counts.removed, found.difference), (0, 20, None));
}

#[tokio::test]
async fn a_foreign_message_is_named() {
    let world = World::published(6).await;
    let context = world.context().await;
    let subject = world.namespace.subject("testing.fake.v1");
    context.publish(subject.clone(), "{}".into()).await.unwrap().await.unwrap();
    let Difference::Foreign { sequence, subject: named, .. } = world.difference().await else {
        panic!("foreign");
    };
    assert_eq!((sequence, named), (4, subject));
    // One that says it is ours, at a position of which the public is not told.
    let world = World::published(6).await;
    let messages = world.messages().await;
    world.put(&messages[2..], |headers| headers.insert("ce-position", "6")).await;
    let difference = world.difference().await;
    assert!(difference.to_string().contains("the log tells nothing at position 6"), "{difference}");
}

#[tokio::test]
async fn a_stream_that_was_published_again_after_a_loss_is_proved() {
    let world = World::published(60).await;
    let context = world.context().await;
    let config = world.stream().await.cached_info().config.clone();
    context.delete_stream(&config.name).await.unwrap();
    let publisher = world.publisher();
    world.complete().await;
    publisher.stop().await;
    let found = world.verified(Range::default()).await;
    assert_eq!((found.counts.right, found.difference), (30, None));
}

#[tokio::test]
async fn a_body_that_was_tampered_with_is_named() {
    let world = World::published(20).await;
    let mut messages = world.messages().await;
    let payload = messages[4].payload.clone();
    messages[4].payload = r#"{"version":0}"#.into();
    world.refill(&messages, |_| {}).await;
    let id = header(&messages[4], "ce-id").parse().unwrap();
    let expected = Difference::OtherContent { sequence: 5, place: at(9), id };
    assert_eq!(world.difference().await, expected);
    // A header is content too.
    messages[4].payload = payload;
    world.refill(&messages, |_| {}).await;
    assert_eq!(world.verified(Range::default()).await.difference, None, "only as it was");
    world.refill(&messages, |headers| headers.insert("ce-time", "2026-01-01T00:00:00Z")).await;
    assert!(matches!(world.difference().await, Difference::OtherContent { sequence: 1, .. }));
}

#[tokio::test]
async fn what_comes_twice_or_out_of_order_is_named() {
    let world = World::published(20).await;
    let messages = world.messages().await;
    world.put(&messages[3..4], |_| {}).await;
    let id = header(&messages[3], "ce-id").parse().unwrap();
    let twice = Difference::Twice { sequence: 11, place: at(7), id };
    assert_eq!(world.difference().await, twice);
    let mut swapped = messages.clone();
    swapped.swap(3, 4);
    world.refill(&swapped, |_| {}).await;
    let difference = world.difference().await;
    assert!(
        matches!(difference, Difference::Missing { place, .. } if place == at(7)),
        "{difference}"
    );
}

/// Held by the publisher, and sent when somebody had repaired it.
#[tokio::test]
async fn what_comes_late_and_says_so_is_right_once_and_in_the_order_of_its_key() {
    let world = World::new().await;
    world.append_to(&["testing.thing-1", "testing.thing-2"], 3).await;
    let publisher = world.publisher();
    world.complete().await;
    publisher.stop().await;
    let messages = world.messages().await;
    // Of the streams 1 2 1 2 1 2, the second and third of 1 are late.
    let (first, late) = ([0, 1, 3, 5].map(|index| messages[index].clone()), [2, 4]);
    let late = late.map(|index| messages[index].clone());
    let is_late = |headers: &mut HeaderMap| {
        headers.insert("ce-late", "true");
        // What differs each time it is published is no other content.
        headers.insert("Annals-After", "6.0");
        headers.insert("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    };
    world.refill(&first, |_| {}).await;
    world.put(&late, is_late).await;
    let found = world.verified(Range::default()).await;
    let counts = Counts { right: 4, late: 2, ..Counts::default() };
    assert_eq!((found.counts, found.difference), (counts, None));

    world.put(&late[..1], is_late).await;
    assert!(matches!(world.difference().await, Difference::Twice { sequence: 7, .. }));

    let reversed = [late[1].clone(), late[0].clone()];
    world.refill(&first, |_| {}).await;
    world.put(&reversed, is_late).await;
    assert!(matches!(world.difference().await, Difference::OutOfOrder { sequence: 5, .. }));

    world.refill(&first, |_| {}).await;
    world.put(&late, |_| {}).await;
    assert!(matches!(world.difference().await, Difference::OutOfOrder { .. }), "it must say so");
}

#[tokio::test]
async fn a_message_of_another_log_is_foreign() {
    let world = World::published(6).await;
    let other = format!("urn:uuid:{}", Uuid::from_u128(7));
    let messages = world.messages().await;
    world.put(&messages, |headers| headers.insert("ce-source", other.as_str())).await;
    let difference = world.difference().await;
    assert!(difference.to_string().contains("it is from log 00000000-"), "{difference}");
}

#[tokio::test]
async fn a_relay_proves_continuously_what_it_publishes() {
    let world = World::new().await;
    world.append(100).await;
    let mut publisher = world.publisher();
    world.complete().await;
    publisher.publishes().await;
    let mut watch = world.watch(&publisher);
    watch.reaches("a look", |proof| proof.looks > 0).await;
    world.append(7_000).await;
    let state =
        watch.reaches("all to be proved", |proof| proof.verified >= Position::new(7_099)).await;
    assert_eq!(state.differences, []);
    let drift = ("consumer".to_owned(), "effects".to_owned(), 1);
    assert_eq!(state.drift, [drift], "nobody has started the consumer");

    // Somebody takes away what was just published, and later ones follow.
    world.complete().await;
    let stream = world.stream().await;
    publisher.stop().await;
    let mut publisher = world.publisher();
    publisher.publishes().await;
    watch.stop().await;
    let mut watch = world.watch(&publisher);
    watch.reaches("a look", |proof| proof.looks > 0).await;
    world.append(4).await;
    publisher.reaches("all", |state| state.position >= Position::new(7_103)).await;
    stream.delete_message(3_551).await.unwrap();
    watch.reaches("the difference", |proof| proof.differences == [("missing", 1)]).await;
    watch.stop().await;
    publisher.stop().await;
}
