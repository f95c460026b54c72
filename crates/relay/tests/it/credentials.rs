//! A broker that wants to know who connects.

use relay::{RelayState, RelayStatus};
use testkit::Nats;

use crate::world::World;

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
