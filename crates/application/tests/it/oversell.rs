//! No more is reserved than there is, however many ask at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use application::CommandError;
use application::policies::PolicyError;
use domain::Event;
use domain::inventory::{InventoryEvent, RESERVE_PLACED_ORDERS};
use eventstore::AppendError;
use tokio::task::JoinSet;

use crate::support::{Told, World, decoded, order, origin};

/// Reacts as a consumer does: after a conflict, again in a new transaction.
async fn reserve(world: &World, told: &Told) {
    loop {
        match told.react_and_commit(world, &RESERVE_PLACED_ORDERS).await {
            Ok(()) => return,
            Err(PolicyError::Command(CommandError::Append(AppendError::Conflict { .. }))) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_at_once_never_reserve_more_than_there_is() {
    let world = Arc::new(World::new().await);
    let (mug, plate) = (world.list("Mug-1", 20).await, world.list("Plate-1", 11).await);
    let mut messages = Vec::new();
    for number in 0..32 {
        let lines = match number % 3 {
            0 => vec![(mug, 2)],
            1 => vec![(plate, 1), (mug, 1)],
            _ => vec![(mug, 3), (plate, 2)],
        };
        world.bus.place_order(&origin(), order(&lines)).await.unwrap();
        messages.push(world.last_message().await);
    }
    let mut consumers = JoinSet::new();
    for told in messages {
        let world = Arc::clone(&world);
        consumers.spawn(async move { reserve(&world, &told).await });
    }
    consumers.join_all().await;

    let mut available = BTreeMap::new();
    let mut outcomes: BTreeMap<_, Vec<&str>> = BTreeMap::new();
    let mut set_aside: BTreeMap<_, u32> = BTreeMap::new();
    let events = decoded(&world.log().await);
    for event in &events {
        let Event::Inventory(event) = event else { continue };
        match event {
            InventoryEvent::StockReceived(event) => {
                available.insert(event.product_id, i64::from(event.quantity.get()));
            }
            InventoryEvent::StockReserved(event) => {
                let left = available.get_mut(&event.product_id).unwrap();
                *left -= i64::from(event.quantity.get());
                assert!(*left >= 0, "more than there is");
                *set_aside.entry(event.order_id).or_default() += event.quantity.get();
            }
            InventoryEvent::ReservationMade(event) => {
                outcomes.entry(event.order_id).or_default().push("made");
                let asked: u32 = event.lines.iter().map(|line| line.quantity.get()).sum();
                assert_eq!(set_aside.get(&event.order_id), Some(&asked), "all of it");
            }
            InventoryEvent::ReservationRefused(event) => {
                outcomes.entry(event.order_id).or_default().push("refused");
                assert_eq!(set_aside.get(&event.order_id), None, "or none of it");
            }
        }
    }
    assert_eq!(outcomes.len(), 32);
    assert!(outcomes.values().all(|outcomes| outcomes.len() == 1), "{outcomes:?}");
    let made = outcomes.values().filter(|outcomes| outcomes[..] == ["made"]).count();
    assert!((1..32).contains(&made), "some got it and some did not: {made}");
    assert!(available[&mug] < 2, "what could be had was had: {available:?}");
}
