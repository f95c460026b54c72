//! What the publisher builds on, asked of the broker itself (docs/adr/0005-publish-with-expected-sequence.md).

use async_nats::jetstream::Context;
use async_nats::jetstream::context::{PublishError, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::stream::Config;
use testkit::TestBroker;

struct Broker {
    context: Context,
    config: Config,
}

impl Broker {
    async fn new() -> Self {
        let TestBroker { url, namespace } = TestBroker::shared();
        let config = Config {
            name: namespace.to_uppercase(),
            subjects: vec![format!("{namespace}.>")],
            ..Config::default()
        };
        let context = async_nats::jetstream::new(async_nats::connect(url).await.unwrap());
        context.create_stream(&config).await.unwrap();
        Self { context, config }
    }

    async fn publish(&self, id: &str, expected: u64) -> Result<PublishAck, PublishError> {
        let message = PublishMessage::build().message_id(id).expected_last_sequence(expected);
        let subject = format!("{}.x", self.config.name.to_lowercase());
        self.context.send_publish(subject, message).await?.await
    }

    async fn stores(&self, id: &str, expected: u64) {
        let ack = self.publish(id, expected).await.unwrap();
        assert_eq!((ack.sequence, ack.duplicate), (expected + 1, false), "{id}");
    }

    async fn refuses(&self, id: &str, expected: u64) {
        let error = self.publish(id, expected).await.unwrap_err();
        assert_eq!(error.kind(), PublishErrorKind::WrongLastSequence, "{id}: {error}");
    }
}

#[tokio::test]
async fn the_expected_sequence_is_checked_before_the_message_id() {
    let broker = Broker::new().await;
    broker.stores("a", 0).await;
    broker.stores("b", 1).await;
    // A late writer repeats itself, word for word: refused, not confirmed as a duplicate.
    broker.refuses("b", 1).await;
    broker.refuses("a", 0).await;
    broker.refuses("c", 1).await;
    broker.refuses("c", 3).await;
    // A known id at the right sequence: confirmed as a duplicate, under its old sequence.
    let ack = broker.publish("b", 2).await.unwrap();
    assert_eq!((ack.sequence, ack.duplicate), (2, true));
    broker.stores("c", 2).await;
}

#[tokio::test]
async fn ids_are_forgotten_with_the_stream() {
    let broker = Broker::new().await;
    broker.stores("a", 0).await;
    broker.context.delete_stream(&broker.config.name).await.unwrap();
    broker.context.create_stream(&broker.config).await.unwrap();
    broker.stores("a", 0).await;
}

#[tokio::test]
async fn a_purge_forgets_neither_ids_nor_the_sequence() {
    let broker = Broker::new().await;
    broker.stores("a", 0).await;
    let stream = broker.context.get_stream(&broker.config.name).await.unwrap();
    stream.purge().await.unwrap();
    assert_eq!(stream.get_info().await.unwrap().state.last_sequence, 1);
    let ack = broker.publish("a", 1).await.unwrap();
    assert_eq!((ack.sequence, ack.duplicate), (1, true));
    broker.stores("b", 1).await;
}

#[tokio::test]
async fn a_deleted_message_is_still_known_by_its_id() {
    let broker = Broker::new().await;
    broker.stores("a", 0).await;
    broker.context.get_stream(&broker.config.name).await.unwrap().delete_message(1).await.unwrap();
    let ack = broker.publish("a", 1).await.unwrap();
    assert_eq!((ack.sequence, ack.duplicate), (1, true));
}

/// Why each message also names the one before it: the sequence alone leaves a gap.
#[tokio::test]
async fn a_foreign_message_makes_room_for_a_gap_unless_the_id_before_is_named() {
    let broker = Broker::new().await;
    broker.stores("a", 0).await;
    let subject = format!("{}.x", broker.config.name.to_lowercase());
    broker.context.publish(subject.clone(), "".into()).await.unwrap().await.unwrap();
    broker.refuses("b", 1).await;
    let message = PublishMessage::build().message_id("c").expected_last_sequence(2);
    let named = message.clone().expected_last_message_id("b");
    let error =
        broker.context.send_publish(subject.clone(), named).await.unwrap().await.unwrap_err();
    assert_eq!(error.kind(), PublishErrorKind::WrongLastMessageId);
    let ack = broker.context.send_publish(subject, message).await.unwrap().await.unwrap();
    assert_eq!(ack.sequence, 3, "b is missing");
}
