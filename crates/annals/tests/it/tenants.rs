//! A story of one organization stays its own, from the first command to the last message.

use std::sync::Arc;
use std::time::Duration;

use adapters::{SystemClock, TimeOrderedIds};
use application::catalog::ListProduct;
use application::ordering::PlaceOrder;
use application::{CommandBus, Origin};
use domain::ordering::{RequestedLine, RequestedLines};
use domain::values::{Money, ProductName, Quantity, Sku, StockLevel};
use eventstore::EventStore;
use serde_json::Value;
use testkit::eventually;
use uuid::Uuid;

use crate::support::Site;

/// Longer than anything takes that works.
const LIMIT: Duration = Duration::from_mins(1);

fn origin(tenant: Option<Uuid>) -> Origin {
    Origin {
        actor: "somebody".to_owned(),
        tenant,
        correlation_id: Uuid::from_u128(0xc0),
        trace: None,
        idempotency_key: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_from_an_event_of_a_tenant_belongs_to_it() {
    let site = Site::new().await;
    let mut process = site.serve("tenants", &["relay", "worker"]);
    process.ready().await;
    let store = EventStore::open(site.database.pool()).await.unwrap();
    let bus = CommandBus::new(store, Arc::new(SystemClock), Arc::new(TimeOrderedIds));
    let product = ListProduct {
        sku: Sku::try_from("Mug-1".to_owned()).unwrap(),
        name: ProductName::try_from("Mug".to_owned()).unwrap(),
        price: Money::new(1250, "EUR".parse().unwrap()).unwrap(),
        stock: StockLevel::try_from(5).unwrap(),
    };
    let (product_id, _) = bus.list_product(&origin(None), product).await.unwrap();
    let line = RequestedLine { product_id, quantity: Quantity::try_from(2).unwrap() };
    let order = PlaceOrder { lines: RequestedLines::try_from(vec![line]).unwrap() };
    let tenant = Uuid::from_u128(0x7e);
    bus.place_order(&origin(Some(tenant)), order).await.unwrap();

    let text = tenant.to_string();
    let exported = ["events", "export", "--tenant", &text];
    let types = eventually(LIMIT, "the order to be confirmed", async || {
        let told = site.run(&exported).ok();
        let lines = told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let types: Vec<_> =
            lines.filter_map(|line| Some(line["event"]["type"].as_str()?.to_owned())).collect();
        if types.iter().any(|name| name == "ordering.order-confirmed") {
            Ok(types)
        } else {
            Err(types)
        }
    })
    .await;
    let expected = [
        "ordering.order-placed",
        "inventory.stock-reserved",
        "inventory.reservation-made",
        "ordering.order-confirmed",
    ];
    assert_eq!(types, expected);
}
