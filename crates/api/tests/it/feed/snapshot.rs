//! A document, and then exactly what happens to it.

use eventstore::EventType;
use futures_util::future::join_all;
use serde_json::{Value, json};
use testkit::eventually;
use uuid::Uuid;

use super::world::{Feed, Process, confirm, order, place, receive, small};
use crate::support::{LIMIT, TestApp};

/// What a client makes of a message about an order.
fn take_effect(document: &mut Value, message_type: &str, data: &Value) {
    match message_type {
        "ordering.order-confirmed.v1" => document["status"] = "confirmed".into(),
        "ordering.order-rejected.v1" => {
            document["status"] = "rejected".into();
            document["shortages"] = data["short_of"].clone();
        }
        other => panic!("{other} is told after the snapshot"),
    }
}

/// How many were short is not told with the order.
fn without_numbers(mut document: Value) -> Value {
    let shortages = document.get_mut("shortages").and_then(Value::as_array_mut);
    for shortage in shortages.into_iter().flatten().filter(|shortage| shortage.is_object()) {
        *shortage = shortage["product_id"].take();
    }
    document
}

/// Rejects an order, as the policies do.
async fn reject(app: &TestApp, number: u128) {
    let id = Uuid::from_u128(number);
    let shortage = json!({ "product_id": Uuid::from_u128(1), "requested": 20, "available": 8 });
    let payload = json!({ "order_id": id, "shortages": [shortage] });
    let reservation = format!("inventory.reservation-{id}");
    let refused = EventType::new("inventory.reservation-refused", 1);
    app.append(&reservation, refused, &payload).await;
    app.append(&order(number), EventType::new("ordering.order-rejected", 1), &payload).await;
}

/// A client of one order: from whatever moment it is there for the first time, until it is settled.
async fn follow(app: &TestApp, process: &Process, number: u128) {
    let id = Uuid::from_u128(number);
    let query = format!("snapshot=orders/{id}");
    let feed = eventually(LIMIT, "the order", async || process.ask(&query, None).await).await;
    let mut feed = Feed(feed);
    let snapshot = feed.next().await;
    assert_eq!(snapshot.event, "snapshot");
    let then = app.get(&format!("/v1/orders/{id}?as_of=position:{}", snapshot.id)).await;
    let mut document: Value = serde_json::from_str(&snapshot.data).unwrap();
    assert_eq!(document, then.body);
    while document["status"] == "placed" {
        let event = feed.next().await;
        let message: Value = serde_json::from_str(&event.data).unwrap();
        take_effect(&mut document, &event.event, &message["data"]);
    }
    let head = app.store().head().await.unwrap();
    let now = app.get(&format!("/v1/orders/{id}?as_of=position:{head}")).await;
    assert_eq!(without_numbers(document), without_numbers(now.body));
}

#[tokio::test]
async fn a_snapshot_and_the_changes_after_it_are_the_document() {
    let app = TestApp::new().await;
    let process = Process::start(&app, small()).await;
    let following = join_all((0..30).map(|number| follow(&app, &process, number)));
    let happening = async {
        for number in 0..33 {
            if number < 30 {
                place(&app, number, 1).await;
            }
            match number.checked_sub(3) {
                Some(earlier) if earlier % 2 == 0 => drop(confirm(&app, earlier).await),
                Some(earlier) => reject(&app, earlier).await,
                None => {}
            }
        }
    };
    tokio::join!(following, happening);
}

#[tokio::test]
async fn a_product_is_shown_as_it_is() {
    let app = TestApp::new().await;
    let id = Uuid::from_u128(7);
    let price = json!({ "amount": 1250, "currency": "EUR" });
    let listed = json!({ "product_id": id, "sku": "Mug-1", "name": "Mug", "price": price });
    let stream = format!("catalog.product-{id}");
    app.append(&stream, EventType::new("catalog.product-listed", 1), &listed).await;
    receive(&app, 7).await;
    let process = Process::start(&app, small()).await;
    let snapshot = process.open(&format!("snapshot=products/{id}")).await.next().await;
    assert_eq!((snapshot.event.as_str(), snapshot.id.as_str()), ("snapshot", "2"));
    let then = app.get(&format!("/v1/products/{id}?as_of=position:2")).await;
    assert_eq!(serde_json::from_str::<Value>(&snapshot.data).unwrap(), then.body);
    assert_eq!(then.body["available"], 1);
}

/// A browser asks for the same address again, with what it has seen last.
#[tokio::test]
async fn who_resumes_has_the_snapshot_already() {
    let app = TestApp::new().await;
    let id = Uuid::from_u128(1);
    place(&app, 1, 1).await;
    let process = Process::start(&app, small()).await;
    let query = format!("snapshot=orders/{id}");
    let mut feed = process.open(&query).await;
    assert_eq!(feed.next().await.event, "snapshot");
    drop(feed);
    place(&app, 2, 1).await;
    let confirmed = confirm(&app, 1).await;
    let mut resumed = process.resume(&query, Some("1")).await;
    assert_eq!(resumed.positions(1).await, [confirmed], "the change, and nothing about others");
    let mut resumed = process.open(&format!("{query}&after=1")).await;
    assert_eq!(resumed.positions(1).await, [confirmed]);
    // Other subjects, if they are asked for.
    let mut both = process.open(&format!("{query}&subject={}", order(2))).await;
    assert_eq!(both.next().await.event, "snapshot");
    let other = confirm(&app, 2).await;
    assert_eq!(both.positions(1).await, [other]);
}
