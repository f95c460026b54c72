//! The broker goes away, for a while or with what it held.

use std::path::Path;
use std::sync::Arc;

use async_nats::HeaderMap;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::Config;
use relay::RelayStatus;
use testkit::Nats;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_and_comes_back_gets_everything_once() {
    let mut nats = Nats::start_ephemeral().unwrap();
    let world = Arc::new(World::on(&nats).await);
    let mut publisher = world.publisher();
    publisher.publishes().await;
    for _ in 0..2 {
        let appending = tokio::spawn({
            let world = Arc::clone(&world);
            async move { world.append_each(400).await }
        });
        let seen = publisher.state.borrow().published_messages;
        publisher.reaches("some messages", |state| state.published_messages > seen + 20).await;
        nats.kill9();
        publisher
            .reaches("the relay to notice", |state| {
                matches!(state.status, RelayStatus::Connecting { .. })
            })
            .await;
        appending.await.unwrap(); // commands do not wait for the broker
        nats.restart().unwrap();
        world.complete().await;
    }
    publisher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_hangs_is_doubted_and_gets_everything_once() {
    let nats = Nats::start_ephemeral().unwrap();
    let world = World::on(&nats).await;
    let mut publisher = world.publisher();
    publisher.publishes().await;
    nats.pause();
    world.append(100).await;
    let state = publisher
        .reaches("the relay to notice", |state| {
            matches!(state.status, RelayStatus::Connecting { .. })
        })
        .await;
    assert_eq!(state.epoch, Some(1), "it keeps the lease meanwhile");
    nats.resume();
    world.complete().await;
    publisher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_that_starts_before_the_broker_waits_for_it() {
    let mut nats = Nats::start_ephemeral().unwrap();
    let world = World::on(&nats).await;
    nats.halt().unwrap();
    let mut publisher = world.publisher();
    world.append(10).await;
    publisher
        .reaches("the relay to try", |state| matches!(state.status, RelayStatus::Connecting { .. }))
        .await;
    nats.restart().unwrap();
    world.complete().await;
    publisher.stop().await;
}

#[tokio::test]
async fn a_stream_that_is_deleted_is_made_again_from_the_log() {
    let world = World::new().await;
    world.append(50).await;
    let mut publisher = world.publisher();
    world.complete().await;
    // Idle: nothing is published that would show it.
    world.context().await.delete_stream(world.namespace.stream_name()).await.unwrap();
    world.complete().await;
    // Busy.
    world.context().await.delete_stream(world.namespace.stream_name()).await.unwrap();
    world.append(50).await;
    world.complete().await;
    let state = publisher.publishes().await;
    assert!(state.resumed >= 3, "{state:?}");
    publisher.stop().await;
}

#[tokio::test]
async fn a_stream_that_was_recreated_empty_is_filled_and_left_as_it_is() {
    let world = World::new().await;
    world.append(50).await;
    let publisher = world.publisher();
    world.complete().await;
    publisher.stop().await;

    let context = world.context().await;
    let name = world.namespace.stream_name();
    context.delete_stream(&name).await.unwrap();
    let description = Some("an operator made this one".to_owned());
    let config = Config {
        name,
        subjects: vec![world.namespace.all_subjects()],
        description,
        ..Config::default()
    };
    context.create_stream(&config).await.unwrap();

    let publisher = world.publisher();
    world.complete().await;
    assert_eq!(world.stream().await.cached_info().config.description, config.description);
    publisher.stop().await;
}

/// As after restoring a backup of the broker: the end of the stream is missing, within the time in
/// which message ids are remembered.
#[tokio::test]
async fn a_stream_that_lost_its_end_gets_it_again() {
    let world = World::new().await;
    world.append(50).await;
    let mut publisher = world.publisher();
    world.complete().await;
    publisher.publishes().await;

    let kept = world.messages().await;
    let context = world.context().await;
    let config = world.stream().await.cached_info().config.clone();
    context.delete_stream(&config.name).await.unwrap();
    context.create_stream(&config).await.unwrap();
    for message in &kept[..10] {
        let headers: HeaderMap = message.headers.clone();
        let message_again =
            PublishMessage::build().payload(message.payload.clone()).headers(headers);
        let sent =
            context.send_publish(message.subject.clone(), message_again).await.unwrap().await;
        if sent.is_err() {
            break; // the publisher was faster, which is as good
        }
    }
    world.complete().await;
    publisher.stop().await;
}

/// The store of the broker is put back as it was an hour ago, which is older than what is known of
/// it in the database.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_restored_from_an_older_backup_gets_the_rest_again() {
    let mut nats = Nats::start_ephemeral().unwrap();
    let world = World::on(&nats).await;
    world.append(60).await;
    let mut publisher = world.publisher();
    world.complete().await;
    publisher.publishes().await;
    nats.halt().unwrap();
    let backup = nats.store().with_extension("backup");
    copy(&nats.store(), &backup);
    nats.restart().unwrap();
    world.append(60).await;
    world.complete().await;

    nats.halt().unwrap();
    std::fs::remove_dir_all(nats.store()).unwrap();
    copy(&backup, &nats.store());
    world.append(60).await; // meanwhile
    nats.restart().unwrap();
    world.complete().await;
    publisher.stop().await;
}

/// Copies a directory with all there is in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in from.read_dir().unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
