//! Law 6, as far as it is the bus's: what follows from a message follows once.

use application::CommandError;
use application::policies::PolicyError;
use domain::Event;
use domain::inventory::{InventoryEvent, RESERVE_PLACED_ORDERS};
use domain::ordering::{OrderingEvent, SETTLE_RESERVED_ORDERS};
use eventstore::AppendError;

use crate::support::{Told, World, decoded};

#[tokio::test]
async fn rolled_back_nothing_follows() {
    let world = World::new().await;
    let mug = world.list("Mug-1", 5).await;
    world.place(mug, 2).await;
    let before = world.types().await;
    let told = world.last_message().await;

    let mut transaction = world.store.pool().begin().await.unwrap();
    told.react(&world, &mut transaction, &RESERVE_PLACED_ORDERS).await.unwrap();
    transaction.rollback().await.unwrap();
    assert_eq!(world.types().await, before);

    told.react_and_commit(&world, &RESERVE_PLACED_ORDERS).await.unwrap();
    assert_eq!(world.types().await.len(), before.len() + 2, "nothing stands in the way");
}

#[tokio::test]
async fn a_message_twice_has_one_effect() {
    let world = World::new().await;
    let mug = world.list("Mug-1", 5).await;
    world.place(mug, 2).await;
    let placed = world.last_message().await;
    placed.react_and_commit(&world, &RESERVE_PLACED_ORDERS).await.unwrap();
    let made = world.last_message().await;
    made.react_and_commit(&world, &SETTLE_RESERVED_ORDERS).await.unwrap();
    let after = world.types().await;
    assert_eq!(
        after[3..],
        [
            "inventory.stock-reserved.v1",
            "inventory.reservation-made.v1",
            "ordering.order-confirmed.v1"
        ]
    );
    // No inbox stands before this bus.
    placed.react_and_commit(&world, &RESERVE_PLACED_ORDERS).await.unwrap();
    made.react_and_commit(&world, &SETTLE_RESERVED_ORDERS).await.unwrap();
    assert_eq!(world.types().await, after);
}

/// Records of commands are forgotten after some time, and marks of messages before: then it is the
/// streams themselves that say what was done. A policy must be decided so.
#[tokio::test]
async fn a_message_that_nobody_remembers_has_no_second_effect() {
    let world = World::new().await;
    let (mug, tea) = (world.list("Mug-1", 5).await, world.list("Tea-1", 0).await);
    let mut messages = Vec::new();
    for product in [mug, tea] {
        world.place(product, 2).await;
        let placed = world.last_message().await;
        placed.react_and_commit(&world, &RESERVE_PLACED_ORDERS).await.unwrap();
        let reserved = world.last_message().await;
        reserved.react_and_commit(&world, &SETTLE_RESERVED_ORDERS).await.unwrap();
        messages.extend([(placed, &RESERVE_PLACED_ORDERS), (reserved, &SETTLE_RESERVED_ORDERS)]);
    }
    let after = world.types().await;
    sqlx::query("DELETE FROM eventstore.commands").execute(&world.pool()).await.unwrap();
    for (message, policy) in messages {
        message.react_and_commit(&world, policy).await.unwrap();
    }
    assert_eq!(world.types().await, after);
}

#[tokio::test]
async fn a_message_twice_in_one_transaction_has_one_effect() {
    let world = World::new().await;
    let mug = world.list("Mug-1", 5).await;
    world.place(mug, 2).await;
    let placed = world.last_message().await;
    let mut transaction = world.store.pool().begin().await.unwrap();
    placed.react(&world, &mut transaction, &RESERVE_PLACED_ORDERS).await.unwrap();
    placed.react(&world, &mut transaction, &RESERVE_PLACED_ORDERS).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(world.log().await.len(), 5);
}

#[tokio::test]
async fn what_follows_tells_from_what_it_follows() {
    let world = World::new().await;
    let mug = world.list("Mug-1", 5).await;
    world.place(mug, 2).await;
    let placed = world.last_message().await;
    assert!(placed.metadata.tenant.is_some());
    placed.react_and_commit(&world, &RESERVE_PLACED_ORDERS).await.unwrap();
    let log = world.log().await;
    for event in &log[3..] {
        assert_eq!(event.metadata.actor, "policy:inventory");
        assert_eq!(event.metadata.causation_id, Some(placed.id));
        assert_eq!(event.metadata.correlation_id, placed.metadata.correlation_id);
        assert_eq!(event.metadata.tenant, placed.metadata.tenant);
        assert_eq!(event.metadata.trace, placed.metadata.trace);
    }
    // The story goes on: its correlation stays, its cause is the message before.
    let made = Told::of(log.last().unwrap());
    made.react_and_commit(&world, &SETTLE_RESERVED_ORDERS).await.unwrap();
    let log = world.log().await;
    let confirmed = log.last().unwrap();
    assert_eq!(confirmed.metadata.actor, "policy:ordering");
    assert_eq!(confirmed.metadata.causation_id, Some(made.id));
    assert_eq!(confirmed.metadata.tenant, placed.metadata.tenant);
    assert_eq!(confirmed.metadata.correlation_id, placed.metadata.correlation_id);
    assert_eq!(world.subjects().await.last().unwrap(), "ordering.order-confirmed.v1");
}

#[tokio::test]
async fn what_is_short_is_refused_and_the_order_rejected() {
    let world = World::new().await;
    let mug = world.list("Mug-1", 1).await;
    let (order_id, _) = world.place(mug, 2).await;
    let placed = world.last_message().await;
    placed.react_and_commit(&world, &RESERVE_PLACED_ORDERS).await.unwrap();
    let refused = world.last_message().await;
    refused.react_and_commit(&world, &SETTLE_RESERVED_ORDERS).await.unwrap();
    let events = decoded(&world.log().await);
    let [
        ..,
        Event::Inventory(InventoryEvent::ReservationRefused(_)),
        Event::Ordering(OrderingEvent::OrderRejected(rejected)),
    ] = events.as_slice()
    else {
        panic!("refused, then rejected: {events:?}")
    };
    assert_eq!(rejected.order_id, order_id);
    let [shortage] = rejected.shortages.as_slice() else { panic!("{rejected:?}") };
    assert_eq!((shortage.product_id, shortage.available), (mug, 1));
}

#[tokio::test]
async fn a_message_that_a_policy_does_not_react_to_has_no_effect() {
    let world = World::new().await;
    let mug = world.list("Mug-1", 0).await;
    let listed = world.last_message().await;
    listed.react_and_commit(&world, &RESERVE_PLACED_ORDERS).await.unwrap();
    listed.react_and_commit(&world, &SETTLE_RESERVED_ORDERS).await.unwrap();
    assert_eq!(world.log().await.len(), 1, "only {mug} was listed");
}

#[tokio::test]
async fn who_decided_on_what_has_changed_is_told_of_the_conflict() {
    let world = World::new().await;
    let mug = world.list("Mug-1", 5).await;
    world.place(mug, 2).await;
    let first = world.last_message().await;
    world.place(mug, 2).await;
    let second = world.last_message().await;

    // The first holds the lock of the log; the second has read the same stock and waits.
    let mut transaction = world.store.pool().begin().await.unwrap();
    first.react(&world, &mut transaction, &RESERVE_PLACED_ORDERS).await.unwrap();
    let committing = async {
        let waiting = "SELECT count(*) FROM pg_locks AS l JOIN pg_database AS d ON d.oid = l.database \
                       WHERE d.datname = current_database() AND NOT l.granted AND l.locktype = 'advisory'";
        testkit::eventually(std::time::Duration::from_secs(40), "the second to wait", || async {
            let count: i64 = sqlx::query_scalar(waiting).fetch_one(&world.pool()).await.unwrap();
            if count == 1 { Ok(()) } else { Err(count) }
        })
        .await;
        transaction.commit().await.unwrap();
    };
    let (reacted, ()) =
        tokio::join!(second.react_and_commit(&world, &RESERVE_PLACED_ORDERS), committing);
    assert!(
        matches!(
            reacted,
            Err(PolicyError::Command(CommandError::Append(AppendError::Conflict { .. })))
        ),
        "{reacted:?}"
    );
    second.react_and_commit(&world, &RESERVE_PLACED_ORDERS).await.unwrap();
}
