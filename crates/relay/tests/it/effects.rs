//! Each message takes effect once, in order, whatever happens (law 6).

use std::time::Duration;

use relay::{ConsumerStatus, HandlerError, Marks, dead_letters};
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
    assert_eq!((info.num_ack_pending, info.num_redelivered), (2, 0));
    transaction.commit().await.unwrap();
    world.takes_effect().await;
    let state = consumer.reaches("both", |state| state.effects == 2).await;
    assert_eq!(state.repeated, 0);
    consumer.stop().await;
    publisher.stop().await;
}

#[tokio::test]
async fn one_copy_works_and_another_goes_on_when_it_stops_or_dies() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    let mut one = world.consumer(Plan::new());
    one.reaches("to work", |state| state.status == ConsumerStatus::Consuming).await;
    let mut other = world.consumer(Plan::new());
    other.reaches("to stand by", |state| state.status == ConsumerStatus::Standby).await;
    world.append(200).await;
    world.takes_effect().await;
    world.acknowledged().await;
    assert_eq!((one.state.borrow().effects, other.state.borrow().effects), (100, 0));
    one.stop().await;
    world.append(20).await;
    world.takes_effect().await;
    let last = world.consumer(Plan::new());
    other.abort().await;
    world.append(20).await;
    // When the lease of the dead one is over.
    world.takes_effect().await;
    last.stop().await;
    publisher.stop().await;
}

/// The broker waits longer for whoever has a message than this test waits for the effects, so what
/// a stopped copy left behind would be missing.
#[tokio::test]
async fn a_stopped_consumer_finishes_what_it_has() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    let patience = 10 * LIMIT;
    for round in 1..=5 {
        let mut consumer = world.consumer_with(Plan::new(), |config| {
            (config.ack_wait, config.batch) = (patience, std::num::NonZeroU16::MIN);
        });
        world.append(100).await;
        consumer.reaches("some effects", |state| state.effects >= 1).await;
        consumer.stop().await;
        let info = world.stream().await.consumer_info("effects").await.unwrap();
        assert_eq!(info.num_ack_pending, 0, "in round {round}");
    }
    let consumer = world.patient_consumer(Plan::new(), patience);
    world.takes_effect().await;
    consumer.stop().await;
    publisher.stop().await;
}

/// What the broker gave to another reader, who does nothing with it, is noticed by its missing
/// number, and comes in its place.
#[tokio::test]
async fn what_another_reader_was_given_is_not_passed_over() {
    let world = World::with_effects().await;
    let publisher = world.publisher();
    world.append(2).await;
    let mut consumer = world.patient_consumer(Plan::new(), 10 * LIMIT);
    world.takes_effect().await;
    let durable: async_nats::jetstream::consumer::PullConsumer =
        world.stream().await.get_consumer("effects").await.unwrap();
    for _ in 0..5 {
        let steals = durable.fetch().max_messages(3).expires(Duration::from_millis(200));
        let (stolen, ()) = tokio::join!(
            async {
                let stolen = steals.messages().await.unwrap();
                futures_util::StreamExt::collect::<Vec<_>>(stolen).await.len()
            },
            world.append_each(20),
        );
        assert!(stolen <= 3);
        world.takes_effect().await;
    }
    consumer.reaches("to work", |state| state.status == ConsumerStatus::Consuming).await;
    consumer.stop().await;
    publisher.stop().await;
}

/// Whoever dies with messages in hand leaves them to the next one, in their places: of each key
/// each message takes effect once, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_keep_their_order_whoever_dies_and_whatever_fails() {
    for marks in [Marks::Inbox, Marks::Progress] {
        let world = World::with_effects().await;
        let publisher = world.publisher();
        let streams: Vec<String> =
            (0..25).map(|number| format!("testing.thing-{number}")).collect();
        let streams: Vec<&str> = streams.iter().map(String::as_str).collect();
        let copies = || {
            let plan: Plan = (1..=500)
                .filter(|position| position % 7 == 0)
                .map(|position| (position, vec![HandlerError::failed("it is broken")]))
                .collect();
            world.consumer_with(plan, |config| {
                config.marks = marks;
                config.batch = std::num::NonZeroU16::new(10).unwrap();
            })
        };
        let mut running = vec![copies(), copies()];
        for seen in [10, 100, 200, 300] {
            world.append_to(&streams, 5).await;
            eventually(LIMIT, "some effects", || async {
                let effects = world.effects().await.len();
                if effects >= seen { Ok(()) } else { Err(effects) }
            })
            .await;
            running.remove(0).abort().await;
            world.expire_ownership().await;
            running.push(copies());
        }
        // A message that was in the hands of three that died is held as suspect: somebody says that
        // it is not the message.
        eventually(LIMIT, "all effects", || async {
            dead_letters::retry_all(&world.pool(), None, "somebody").await.unwrap();
            let effects = world.effects().await.len();
            if effects >= 500 { Ok(()) } else { Err(effects) }
        })
        .await;
        world.takes_effect_by_key().await;
        let marked: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM relay.inbox CROSS JOIN (SELECT count(*) FROM relay.progress) AS p",
        )
        .fetch_one(&world.pool())
        .await
        .unwrap();
        assert_eq!(marked, if marks == Marks::Progress { 0 } else { 500 });
        for consumer in running {
            consumer.stop().await;
        }
        publisher.stop().await;
    }
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
