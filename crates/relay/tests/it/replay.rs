//! What the public was told, once more for one subscriber: complete, or not said to be.

use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use async_nats::jetstream::stream::Config;
use eventstore::Position;
use relay::Told;
use relay::replay::{COMPLETED, ReplayError, Replayed, Request, Subject, replay};
use testkit::Python;

use crate::world::{World, header, render};

impl World {
    /// A subject of a subscriber's own.
    fn subscriber(&self) -> String {
        format!("replay-{}.billing", self.namespace)
    }

    pub(crate) fn request(&self) -> Request {
        let subject = Subject::new(&self.subscriber(), &self.namespace).unwrap();
        let (after, until) = (Position::START, Position::MAX);
        Request { subject, after, until, types: Vec::new(), rate: None }
    }

    pub(crate) async fn replay(&self, request: &Request) -> Result<Replayed, ReplayError> {
        let (store, namespace) = (self.store.clone(), self.namespace.clone());
        let told = Told { store, namespace, render: Arc::new(render) };
        let now = "2026-11-21T10:15:30Z".parse().unwrap();
        replay(&self.url.parse().unwrap(), told, request, self.id(), now).await
    }

    /// What a program in another language finds.
    fn read(&self) -> Output {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/replay.py");
        let mut command = Python::with("nats-py", "2.16.0").unwrap().command();
        command.arg(script).args(["--server", &self.url, "--subject", &self.subscriber()]);
        command.args(["--wait", "2"]).output().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_in_another_language_finds_that_it_has_everything() {
    let world = World::new().await;
    world.append(2_000).await;
    let publisher = world.publisher();
    world.complete().await;
    publisher.stop().await;
    let live = world.messages().await;
    let replayed = world.replay(&world.request()).await.unwrap();
    assert_eq!((replayed.count, replayed.is_made), (1_000, true));
    assert_eq!(
        (replayed.first, replayed.last),
        (Some(Position::new(1)), Some(Position::new(1_999)))
    );

    let stream = world.context().await.get_stream(&replayed.stream).await.unwrap();
    let first = stream.get_raw_message(1).await.unwrap();
    for name in ["ce-id", "ce-type", "ce-subject", "ce-position", "ce-sequence", "ce-time"] {
        assert_eq!(header(&first, name), header(&live[0], name), "as it was published");
    }
    assert_eq!(first.payload, live[0].payload);
    assert_eq!(header(&first, "ce-replay"), replayed.id.to_string());
    let last = stream.get_raw_message(1_001).await.unwrap();
    assert_eq!(header(&last, "ce-type"), world.namespace.subject(COMPLETED));
    assert_eq!(world.messages().await.len(), live.len(), "nobody else sees it");

    let found = tokio::task::block_in_place(|| world.read());
    let text = String::from_utf8(found.stdout).unwrap();
    assert_eq!(text.trim(), format!("complete: 1000 messages, sha256 {}", replayed.sha256));

    // One is taken away: it notices.
    stream.delete_message(500).await.unwrap();
    let found = tokio::task::block_in_place(|| world.read());
    assert_eq!(found.status.code(), Some(1), "{found:?}");
    let text = String::from_utf8(found.stderr).unwrap();
    assert!(text.contains("incomplete: 501 follows 499"), "{text}");
}

#[tokio::test]
async fn only_what_was_asked_for_is_sent_at_the_pace_that_was_asked_for() {
    let world = World::new().await;
    world.append(40).await;
    let mut request = world.request();
    (request.after, request.until) = (Position::new(10), Position::new(20));
    request.rate = std::num::NonZeroU32::new(100);
    let replayed = world.replay(&request).await.unwrap();
    assert_eq!(
        (replayed.count, replayed.first, replayed.last),
        (5, Some(Position::new(11)), Some(Position::new(19)))
    );
    request.types = vec!["testing.it-happened".to_owned()];
    let again = world.replay(&request).await.unwrap();
    assert_eq!((again.count, &again.sha256), (5, &replayed.sha256));
    assert_eq!((again.stream, again.is_made), (replayed.stream, false), "the same subject");
    request.types = vec!["testing.it-stirred.v1".to_owned()];
    let nothing = world.replay(&request).await.unwrap();
    assert_eq!((nothing.count, nothing.first), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_not_said_to_be_complete() {
    let world = World::new().await;
    world.append(40).await;
    let full = Config {
        name: format!("{}-small", world.namespace),
        subjects: vec![world.subscriber()],
        max_messages: 7,
        discard: async_nats::jetstream::stream::DiscardPolicy::New,
        ..Config::default()
    };
    let context = world.context().await;
    context.create_stream(&full).await.unwrap();
    let cut = world.replay(&world.request()).await.unwrap_err();
    assert!(matches!(cut, ReplayError::Cut { count: 7, .. }), "{cut}");
    assert!(cut.to_string().contains("not complete, 7 messages"), "{cut}");
    let found = tokio::task::block_in_place(|| world.read());
    let text = String::from_utf8(found.stderr).unwrap();
    assert!(text.contains("incomplete: 7 messages and no last one"), "{text}");

    // A stream that would drop the first ones is no place for it.
    let dropping = Config { discard: async_nats::jetstream::stream::DiscardPolicy::Old, ..full };
    context.update_stream(&dropping).await.unwrap();
    let taken = world.replay(&world.request()).await.unwrap_err();
    assert!(matches!(taken, ReplayError::Taken { .. }), "{taken}");
}

#[tokio::test]
async fn a_stream_of_a_replay_is_removed_when_its_messages_have_expired() {
    let world = World::new().await;
    world.append(2).await;
    let replayed = world.replay(&world.request()).await.unwrap();
    let context = world.context().await;
    context.get_stream(&replayed.stream).await.unwrap().purge().await.unwrap();
    let again = world.replay(&world.request()).await.unwrap();
    assert!(again.is_made && again.stream != replayed.stream, "{again:?}");
    assert!(context.get_stream(&replayed.stream).await.is_err(), "it is gone");
}
