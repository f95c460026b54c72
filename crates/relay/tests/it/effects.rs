//! Each message takes effect once, in order, whatever happens (law 6).

use std::time::Duration;

use relay::ConsumerStatus;
use testkit::{Nats, eventually};

use crate::consumers::Plan;
use crate::world::{LIMIT, World};

#[tokio::test]
async fn a_consumer_that_starts_before_the_stream_gets_everything() {
    let world = World::with_effects().await;
    let mut consumer = world.consumer(Plan::new());
    let waits = |status: &ConsumerStatus| matches!(status, ConsumerStatus::Connecting { .. });
    consumer.reaches("the consumer to look", |state| waits(&state.status)).await;
    let publisher = world.publisher();
    world.append(40).await;
    world.takes_effect().await;
    world.append(40).await;
    world.takes_effect().await;
    world.acknowledged().await;
    let state = consumer.reaches("the last", |state| state.effects == 40).await;
    assert_eq!(
        (state.status, state.position.get(), state.repeated),
        (ConsumerStatus::Consuming, 79, 0)
    );
    consumer.stop().await;
    publisher.stop().await;
}

#[tokio::test]
async fn what_is_delivered_again_changes_nothing() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    world.append(40).await;
    world.complete().await;
    let consumer = world.consumer(Plan::new());
    world.takes_effect().await;
    world.acknowledged().await;
    consumer.stop().await;

    // The broker forgets who has read what, and begins again.
    world.stream().await.delete_consumer("effects").await.unwrap();
    let mut consumer = world.consumer(Plan::new());
    consumer.reaches("all of them again", |state| state.repeated == 20).await;
    world.takes_effect().await;
    consumer.stop().await;
    publisher.stop().await;
}

#[tokio::test]
async fn consumers_that_die_anywhere_leave_no_gap_and_no_second_effect() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    world.append(80).await;
    world.complete().await;
    for seen in [1, 9, 20] {
        let consumer = world.consumer(Plan::new());
        eventually(LIMIT, "some effects", || async {
            let effects = world.effects().await.len();
            if effects >= seen { Ok(()) } else { Err(effects) }
        })
        .await;
        consumer.abort().await;
        world.expire_ownership().await;
    }
    let consumer = world.consumer(Plan::new());
    world.takes_effect().await;
    consumer.stop().await;
    publisher.stop().await;
}

/// The broker would deliver it elsewhere after two seconds; it is told that somebody works on it.
#[tokio::test]
async fn a_slow_message_is_not_delivered_again() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    let mut transaction = world.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE effects").execute(&mut *transaction).await.unwrap();
    let mut consumer = world.consumer(Plan::new());
    world.append(4).await;
    let stream = {
        world.complete().await;
        world.stream().await
    };
    let begun = std::time::Instant::now();
    eventually(LIMIT, "more than the broker's patience", || async {
        let elapsed = begun.elapsed();
        if elapsed > Duration::from_secs(5) { Ok(()) } else { Err(elapsed) }
    })
    .await;
    let info = stream.consumer_info("effects").await.unwrap();
    assert_eq!((info.num_ack_pending, info.num_redelivered), (1, 0));
    transaction.commit().await.unwrap();
    world.takes_effect().await;
    let state = consumer.reaches("both", |state| state.effects == 2).await;
    assert_eq!(state.repeated, 0);
    consumer.stop().await;
    publisher.stop().await;
}

#[tokio::test]
async fn copies_share_the_work_and_keep_the_order() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    let (mut one, mut other) = (world.consumer(Plan::new()), world.consumer(Plan::new()));
    world.append(200).await;
    world.takes_effect().await;
    world.acknowledged().await;
    one.reaches("connection", |state| state.status == ConsumerStatus::Consuming).await;
    other.reaches("connection", |state| state.status == ConsumerStatus::Consuming).await;
    let effects = one.state.borrow().effects + other.state.borrow().effects;
    assert_eq!(effects, 100);
    // Whoever is left goes on at once.
    one.stop().await;
    world.append(20).await;
    world.takes_effect().await;
    other.stop().await;
    publisher.stop().await;
}

/// The broker waits longer for whoever has a message than this test waits for the effects, so what
/// a stopped copy did not give back would be missing.
#[tokio::test]
async fn a_stopped_consumer_gives_back_what_it_has() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    world.append(400).await;
    world.complete().await;
    let patience = 10 * LIMIT;
    for _ in 0..5 {
        let mut consumer = world.patient_consumer(Plan::new(), patience);
        consumer.reaches("some effects", |state| state.effects >= 5).await;
        consumer.stop().await;
    }
    let consumer = world.patient_consumer(Plan::new(), patience);
    world.takes_effect().await;
    consumer.stop().await;
    publisher.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_killed_and_comes_back_causes_no_second_effect() {
    let mut nats = Nats::start_ephemeral().unwrap();
    let world = World::on(&nats).await;
    world.make_effects().await;
    let publisher = world.publisher();
    let mut consumer = world.consumer(Plan::new());
    world.append(400).await;
    consumer.reaches("some effects", |state| state.effects > 20).await;
    nats.kill9();
    nats.restart().unwrap();
    world.takes_effect().await;
    world.acknowledged().await;
    consumer.stop().await;
    publisher.stop().await;
}

#[tokio::test]
async fn a_stream_that_is_made_again_causes_no_second_effect() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    let mut consumer = world.consumer(Plan::new());
    world.append(40).await;
    world.takes_effect().await;
    world.context().await.delete_stream(world.namespace.stream_name()).await.unwrap();
    world.append(40).await;
    world.takes_effect().await;
    consumer.reaches("the first ones again", |state| state.repeated >= 20).await;
    consumer.stop().await;
    publisher.stop().await;
}
