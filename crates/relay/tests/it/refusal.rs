//! What a publisher does not go past until somebody changes something.

use async_nats::HeaderMap;
use eventstore::Position;

use crate::world::World;

#[tokio::test]
async fn a_foreign_message_at_the_end_is_refused_until_it_is_gone() {
    let world = World::new().await;
    world.append(4).await;
    let mut publisher = world.publisher();
    world.complete().await;
    publisher.publishes().await;

    let context = world.context().await;
    let foreign = context.publish(world.namespace.subject("testing.fake.v1"), "{}".into());
    assert_eq!(foreign.await.unwrap().await.unwrap().sequence, 3);
    world.append(4).await;
    let reason = publisher.refuses().await;
    assert!(reason.contains("message 3 of the stream"), "{reason}");
    assert!(reason.contains("header ce-source is missing"), "{reason}");

    let stream = world.stream().await;
    assert_eq!(stream.cached_info().state.last_sequence, 3, "nothing was published after it");
    stream.delete_message(3).await.unwrap();
    publisher.reaches("the rest", |state| state.position.get() == 7).await;
    let state = world.stream().await.cached_info().state.clone();
    assert_eq!((state.messages, state.last_sequence), (4, 5));
    publisher.stop().await;
}

#[tokio::test]
async fn a_message_of_another_log_is_refused() {
    let world = World::new().await;
    world.append(4).await;
    let publisher = world.publisher();
    world.complete().await;
    publisher.stop().await;

    let other = world.id();
    let mut headers = HeaderMap::new();
    headers.insert("ce-id", other.to_string());
    headers.insert("ce-source", format!("urn:uuid:{other}"));
    headers.insert("ce-position", "9");
    let context = world.context().await;
    let subject = world.namespace.subject("testing.it-happened.v1");
    context.publish_with_headers(subject, headers, "{}".into()).await.unwrap().await.unwrap();
    let mut publisher = world.publisher();
    let reason = publisher.refuses().await;
    assert!(reason.contains(&format!("it is from log {other}")), "{reason}");
    publisher.stop().await;
}

/// As after restoring a backup of the database.
#[tokio::test]
async fn a_stream_that_knows_more_than_the_log_is_refused() {
    let world = World::new().await;
    world.append(4).await;
    let publisher = world.publisher();
    world.complete().await;
    publisher.stop().await;

    let mut headers = HeaderMap::new();
    headers.insert("ce-id", world.id().to_string());
    headers.insert("ce-source", format!("urn:uuid:{}", world.log()));
    headers.insert("ce-position", "4");
    let context = world.context().await;
    let subject = world.namespace.subject("testing.it-happened.v1");
    context.publish_with_headers(subject, headers, "{}".into()).await.unwrap().await.unwrap();
    let mut publisher = world.publisher();
    let reason = publisher.refuses().await;
    assert!(reason.contains("at position 4, the log does not"), "{reason}");
    publisher.stop().await;
}

#[tokio::test]
async fn a_full_stream_stops_publishing_until_there_is_room() {
    let world = World::new().await;
    let mut publisher = world.publisher();
    publisher.publishes().await;
    let context = world.context().await;
    let mut config = world.stream().await.cached_info().config.clone();
    config.max_messages = 3;
    context.update_stream(&config).await.unwrap();
    world.append(10).await;
    let reason = publisher.refuses().await;
    assert!(reason.contains("maximum messages exceeded"), "{reason}");
    config.max_messages = -1;
    context.update_stream(&config).await.unwrap();
    world.complete().await;
    publisher.stop().await;
}

/// While a page is on its way, a foreign message takes the place of one of ours: nothing of ours
/// that comes after it may be stored, or the one would be missing for ever.
#[tokio::test]
async fn foreign_messages_in_the_middle_of_a_page_leave_no_gap() {
    let world = World::new().await;
    let mut publisher = world.publisher();
    publisher.publishes().await;
    let context = world.context().await;
    let subject = world.namespace.subject("testing.fake.v1");
    let stream = world.stream().await;
    for _ in 0..5 {
        let before = publisher.state.borrow().published_messages;
        world.append(1_000).await;
        publisher.reaches("a page", |state| state.published_messages > before).await;
        let foreign = context.publish(subject.clone(), "{}".into()).await.unwrap().await.unwrap();
        world.append(100).await;
        publisher.refuses().await;
        stream.delete_message(foreign.sequence).await.unwrap();
        publisher.publishes().await;
    }
    let head = world.store.head().await.unwrap().get();
    publisher.reaches("all", |state| state.position.get() >= head - 1).await;
    let outbox = world.store.read_outbox(Position::START, 10_000).await.unwrap();
    let expected: Vec<_> = outbox.iter().map(|message| message.event.position.get()).collect();
    assert_eq!(world.positions().await, expected);
    publisher.stop().await;
}
