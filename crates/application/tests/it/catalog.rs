//! Listing products.

use std::sync::Arc;

use application::CommandError;
use domain::Event;
use domain::catalog::CatalogEvent;
use domain::inventory::InventoryEvent;
use eventstore::AppendError;
use tokio::task::JoinSet;

use crate::support::{World, decoded, origin, product};

#[tokio::test]
async fn a_product_and_its_stock_are_one_append() {
    let world = World::new().await;
    let origin = origin();
    let (id, receipt) = world.bus.list_product(&origin, product("Mug-1", 7)).await.unwrap();
    assert!(!receipt.repeated);
    assert_eq!(receipt.position.get(), 2);
    let streams: Vec<_> = receipt
        .streams
        .iter()
        .map(|(stream, version)| (stream.to_string(), version.get()))
        .collect();
    let expected = [(format!("catalog.product-{id}"), 1), (format!("inventory.stock-{id}"), 1)];
    assert_eq!(streams, expected);

    let log = world.log().await;
    let events = decoded(&log);
    let [
        Event::Catalog(CatalogEvent::ProductListed(listed)),
        Event::Inventory(InventoryEvent::StockReceived(received)),
    ] = events.as_slice()
    else {
        panic!("listed, then received: {events:?}")
    };
    assert_eq!((listed.product_id, listed.sku.as_str()), (id, "Mug-1"), "kept as it was given");
    assert_eq!((received.product_id, received.quantity.get()), (id, 7));
    for event in &log {
        assert_eq!(event.command_id, receipt.command_id);
        assert_eq!(event.metadata.actor, "somebody");
        assert_eq!((event.metadata.tenant, origin.tenant.is_some()), (origin.tenant, true));
        assert_eq!(event.metadata.correlation_id, origin.correlation_id);
        assert_eq!(event.metadata.causation_id, None);
        assert_eq!(event.metadata.trace, origin.trace);
    }
    assert_eq!(world.subjects().await, ["catalog.product-listed.v1"], "stock stays private");
}

#[tokio::test]
async fn without_stock_nothing_is_received() {
    let world = World::new().await;
    world.list("Mug-1", 0).await;
    assert_eq!(world.types().await, ["catalog.product-listed.v1"]);
}

#[tokio::test]
async fn a_sku_is_taken_whatever_the_case() {
    let world = World::new().await;
    let holder = world.list("Mug-1", 1).await;
    let refused = world.bus.list_product(&origin(), product("mUG-1", 1)).await;
    let Err(CommandError::Append(AppendError::ClaimTaken { namespace, holder: by })) = refused
    else {
        panic!("taken: {refused:?}")
    };
    assert_eq!(namespace, "catalog.sku");
    assert_eq!(by.as_str(), format!("catalog.product-{holder}"));
    assert_eq!(world.log().await.len(), 2, "who got no SKU wrote nothing, no stock either");
}

#[tokio::test]
async fn of_many_that_reach_for_a_sku_at_once_one_gets_it() {
    let world = Arc::new(World::new().await);
    let mut attempts = JoinSet::new();
    for number in 0..16 {
        let world = Arc::clone(&world);
        let sku = if number % 2 == 0 { "MUG-1" } else { "mug-1" };
        attempts.spawn(async move { world.bus.list_product(&origin(), product(sku, 1)).await });
    }
    let outcomes = attempts.join_all().await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for outcome in outcomes {
        let taken = |error: &CommandError| {
            matches!(error, CommandError::Append(AppendError::ClaimTaken { .. }))
        };
        assert!(outcome.as_ref().err().is_none_or(taken), "{outcome:?}");
    }
    assert_eq!(world.log().await.len(), 2);
}
