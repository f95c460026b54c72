//! The end of the stream was removed: by a purge, by age, by hand.

use crate::world::{World, header};

#[tokio::test]
async fn after_a_purge_the_cursor_is_trusted() {
    let world = World::new().await;
    world.append(20).await;
    let publisher = world.publisher();
    world.complete().await;
    publisher.stop().await;
    world.stream().await.purge().await.unwrap();

    let mut publisher = world.publisher();
    world.append(2).await;
    let state = publisher.reaches("one message", |state| state.published_messages == 1).await;
    assert_eq!(state.position.get(), 21);
    let stream = world.stream().await;
    let left = &stream.cached_info().state;
    assert_eq!((left.messages, left.last_sequence), (1, 11));
    publisher.stop().await;
}

/// Published, not yet noted, and then deleted from the stream. The broker still knows its id, and
/// calls it a duplicate: it must be published all the same.
#[tokio::test]
async fn a_message_that_the_broker_remembers_but_does_not_hold_is_published_again() {
    let world = World::new().await;
    world.append(6).await; // public: 1, 3, 5
    let publisher = world.publisher();
    world.complete().await;
    publisher.stop().await;
    world.set_cursor(3).await;
    world.stream().await.delete_message(3).await.unwrap();

    let mut publisher = world.publisher();
    publisher.reaches("the cursor to pass it", |state| state.position.get() == 5).await;
    world.append(1).await;
    publisher.reaches("one more", |state| state.position.get() == 7).await;
    assert_eq!(world.positions().await, [1, 3, 5, 7]);
    publisher.stop().await;
}

/// As a replicated stream could be left: a foreign message took the place of one of ours, and the
/// next of ours was stored after it.
#[tokio::test]
async fn a_gap_is_found_before_the_cursor_passes_over_it() {
    let world = World::new().await;
    world.append(8).await; // public: 1, 3, 5, 7
    let publisher = world.publisher();
    world.complete().await;
    publisher.stop().await;
    world.set_cursor(3).await;
    let stream = world.stream().await;
    let last = stream.get_raw_message(4).await.unwrap();
    stream.delete_message(3).await.unwrap();
    stream.delete_message(4).await.unwrap();
    let context = world.context().await;
    let foreign = context.publish(world.namespace.subject("testing.fake.v1"), "{}".into()).await;
    assert_eq!(foreign.unwrap().await.unwrap().sequence, 5);
    let mut headers = async_nats::HeaderMap::new();
    for name in ["ce-id", "ce-source", "ce-position"] {
        headers.insert(name, header(&last, name));
    }
    let subject = last.subject.clone();
    let ours = context.publish_with_headers(subject, headers, last.payload.clone()).await;
    assert_eq!(ours.unwrap().await.unwrap().sequence, 6);

    let mut publisher = world.publisher();
    let reason = publisher.refuses().await;
    assert!(reason.contains("delete messages 5 to 6"), "{reason}");
    // Half of the advice is not enough.
    stream.delete_message(5).await.unwrap();
    publisher.stop().await;
    let mut publisher = world.publisher();
    publisher.refuses().await;
    stream.delete_message(6).await.unwrap();
    publisher.reaches("all", |state| state.position.get() == 7).await;
    assert_eq!(world.positions().await, [1, 3, 5, 7]);
    publisher.stop().await;
}

/// Two acknowledgements were lost and the last message was deleted: the one before it still tells.
#[tokio::test]
async fn the_last_message_that_is_left_is_believed_if_it_is_ahead() {
    let world = World::new().await;
    world.append(6).await;
    let publisher = world.publisher();
    world.complete().await;
    publisher.stop().await;
    world.set_cursor(1).await;
    world.stream().await.delete_message(3).await.unwrap();

    let mut publisher = world.publisher();
    let state =
        publisher.reaches("the cursor to pass both", |state| state.position.get() == 5).await;
    assert_eq!(state.published_messages, 1, "only the one that was deleted");
    assert_eq!(world.positions().await, [1, 3, 5]);
    publisher.stop().await;
}
