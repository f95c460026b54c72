//! A broker that wants to know who connects.

use std::time::Duration;

use relay::{RelayState, RelayStatus};
use testkit::{Nats, eventually};

use crate::consumers::Plan;
use crate::world::{LIMIT, SUBJECT, World};

#[tokio::test(flavor = "multi_thread")]
async fn the_name_and_password_of_the_url_are_used() {
    let mut nats = Nats::start_ephemeral().unwrap();
    nats.require("relay", "p@ss/word").unwrap();
    let mut world = World::on(&nats).await;
    world.append(4).await;

    let turned_away = |state: &RelayState| matches!(&state.status, RelayStatus::Connecting { error } if error.contains("authorization"));
    let mut nobody = world.publisher();
    nobody.reaches("be turned away", turned_away).await;
    nobody.stop().await;

    let place = world.url.strip_prefix("nats://").unwrap();
    world.url = format!("nats://relay:p%40ss%2Fword@{place}");
    let mut relay = world.publisher();
    relay.publishes().await;
    relay.stop().await;
}

/// What deploy/nats-permissions.conf lets the roles do is what they need, also after a crash, and
/// no more.
#[tokio::test(flavor = "multi_thread")]
async fn the_permissions_that_are_shipped_are_enough() {
    let mut nats = Nats::start_ephemeral().unwrap();
    let host = nats.url().trim_start_matches("nats://").to_owned();
    let passwords: String = ["RELAY", "OPERATOR", "WORKER", "SHOP"]
        .map(|role| format!("NATS_{role}_PASSWORD: \"secret of {role}\"\n"))
        .concat();
    let shipped = include_str!("../../../../deploy/nats-permissions.conf");
    let mut world = World::on(&nats).await;
    tokio::task::block_in_place(|| nats.authorize(&format!("{passwords}{shipped}"))).unwrap();
    world.make_effects().await;
    world.namespace = relay::Namespace::default();
    let as_user = |user: &str, role: &str| format!("nats://{user}:secret%20of%20{role}@{host}");

    world.url = as_user("relay", "RELAY");
    let mut publisher = world.publisher();
    world.append(40).await;
    publisher.reaches("the last", |state| state.position.get() == 39).await;
    let mut watch = world.watch(&publisher);
    watch.reaches("a look", |proof| proof.looks > 0).await;
    world.append(40).await;
    watch.reaches("the proof", |proof| proof.verified.get() == 79).await;
    watch.stop().await;

    world.url = as_user("operator", "OPERATOR");
    assert!(world.declared().plan().await.unwrap().has_drift(), "the consumer is missing");
    assert_eq!(world.verified(relay::verify::Range::default()).await.difference, None);
    let mut request = world.request();
    request.subject = relay::replay::Subject::new("replay.shop", &world.namespace).unwrap();
    assert_eq!(world.replay(&request).await.unwrap().count, 40);
    world.url = as_user("worker", "WORKER");
    let inventory = |config: &mut relay::ConsumerConfig| {
        config.name = "inventory".to_owned();
        config.batch = std::num::NonZeroU16::MIN;
    };
    for seen in [1, 10] {
        let mut consumer = world.consumer_with(Plan::new(), inventory);
        consumer.reaches("some effects", |_| true).await;
        eventually(LIMIT, "some effects", || async {
            let effects = world.effects().await.len();
            if effects >= seen { Ok(()) } else { Err(effects) }
        })
        .await;
        consumer.abort().await;
        world.expire_ownership().await;
    }
    world.append(40).await;
    let consumer = world.consumer_with(Plan::new(), inventory);
    world.takes_effect().await;
    consumer.stop().await;

    // An integrator reads, and does not write.
    let options = async_nats::ConnectOptions::with_user_and_password(
        "shop".to_owned(),
        "secret of SHOP".to_owned(),
    )
    .request_timeout(Some(Duration::from_millis(500)));
    let shop = options.connect(&host).await.unwrap();
    let refused = shop.request(format!("annals.{SUBJECT}"), "{}".into()).await;
    assert!(refused.is_err(), "nothing answers what may not be published");
    publisher.stop().await;
    assert_eq!(world.store.head().await.unwrap().get(), 120);
}
