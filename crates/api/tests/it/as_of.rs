//! `as_of`: what a query would have found once the read model had come that far.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{HeaderValue, Method};
use eventstore::EventType;
use serde_json::{Value, json};
use testkit::TestDatabase;

use crate::support::{Answer, Case, TestApp, request};

const MUG: &str = "00000000-0000-7000-8000-00000000000a";
const CUP: &str = "00000000-0000-7000-8000-00000000000b";
const SMALL: &str = "00000000-0000-7000-8000-000000000001";
const GREEDY: &str = "00000000-0000-7000-8000-000000000002";

/// What happened: stream, type and payload, one event at a time.
fn events() -> Vec<(String, &'static str, Value)> {
    let product = |id: &str| format!("catalog.product-{id}");
    let stock = |id: &str| format!("inventory.stock-{id}");
    let order = |id: &str| format!("ordering.order-{id}");
    let price = json!({"amount": 1250, "currency": "EUR"});
    let listed = |id: &str, sku: &str| json!({"product_id": id, "sku": sku, "name": "A thing", "price": price});
    let placed = |id: &str, quantity: i64| {
        let line = json!({"product_id": MUG, "sku": "Mug-1", "name": "A thing", "quantity": quantity, "unit_price": price});
        let total = json!({"amount": 1250 * quantity, "currency": "EUR"});
        json!({"order_id": id, "lines": [line], "total": total, "placed_at": "2026-11-21T10:15:30.123456Z"})
    };
    let shortage = json!({"product_id": MUG, "requested": 20, "available": 8});
    vec![
        (product(MUG), "catalog.product-listed", listed(MUG, "Mug-1")),
        (stock(MUG), "inventory.stock-received", json!({"product_id": MUG, "quantity": 10})),
        (order(SMALL), "ordering.order-placed", placed(SMALL, 2)),
        (product(CUP), "catalog.product-listed", listed(CUP, "Cup-1")),
        (
            stock(MUG),
            "inventory.stock-reserved",
            json!({"product_id": MUG, "order_id": SMALL, "quantity": 2}),
        ),
        (order(GREEDY), "ordering.order-placed", placed(GREEDY, 20)),
        (order(SMALL), "ordering.order-confirmed", json!({"order_id": SMALL})),
        (
            order(GREEDY),
            "ordering.order-rejected",
            json!({"order_id": GREEDY, "shortages": [shortage]}),
        ),
        (stock(CUP), "inventory.stock-received", json!({"product_id": CUP, "quantity": 3})),
        (stock(MUG), "inventory.stock-received", json!({"product_id": MUG, "quantity": 7})),
    ]
}

fn addresses() -> [String; 4] {
    [
        format!("/v1/products/{MUG}"),
        format!("/v1/products/{CUP}"),
        format!("/v1/orders/{SMALL}"),
        format!("/v1/orders/{GREEDY}"),
    ]
}

/// What there is to see of an answer: the text of a 404 says whether a moment was asked for.
fn seen(answer: Answer) -> Option<Value> {
    match answer.status {
        200 => Some(answer.body),
        404 => {
            assert_eq!(answer.code(), "not-found");
            None
        }
        _ => panic!("{answer:?}"),
    }
}

/// Lets everything happen, and answers with what was seen when the read models stood at each
/// position.
async fn story(app: &TestApp) -> BTreeMap<(i64, String), Option<Value>> {
    let keeper = app.keep();
    let mut live = BTreeMap::new();
    for (stream, event_type, payload) in events() {
        let position = app.append(&stream, EventType::new(event_type, 1), &payload).await;
        for address in addresses() {
            let answer = app.get_at(&address, position).await;
            live.insert((position, address), seen(answer));
        }
    }
    keeper.stop().await;
    live
}

#[tokio::test]
async fn it_is_at_every_position_what_the_live_query_was_there() {
    let app = TestApp::patient(TestDatabase::pool).await;
    let live = story(&app).await;
    let states: BTreeSet<_> = live.values().flatten().map(Value::to_string).collect();
    assert_eq!(states.len(), events().len(), "every event made something new: {states:#?}");
    for ((position, address), expected) in &live {
        let then = app.get(&format!("{address}?as_of=position:{position}")).await;
        assert_eq!(seen(then), *expected, "{address} at {position}");
    }
    for address in addresses() {
        assert_eq!(seen(app.get(&format!("{address}?as_of=position:0")).await), None);
    }
}

#[tokio::test]
async fn a_time_means_the_last_position_up_to_then() {
    let app = TestApp::patient(TestDatabase::pool).await;
    let live = story(&app).await;
    let page = app.get("/v1/audit/events").await;
    let recorded = page.body["items"].as_array().unwrap().iter();
    let recorded: Vec<_> = recorded
        .map(|event| (event["position"].as_i64().unwrap(), event["recorded_at"].as_str().unwrap()))
        .collect();
    for (position, time) in &recorded {
        let last = recorded.iter().rfind(|(_, other)| other == time).unwrap().0;
        for address in addresses() {
            let then = app.get(&format!("{address}?as_of={time}")).await;
            assert_eq!(seen(then), live[&(last, address)], "{time}, recorded at {position}");
        }
    }
    let end = recorded.last().unwrap().0;
    for address in addresses() {
        let never = app.get(&format!("{address}?as_of=2000-01-01T00:00:00Z")).await;
        assert_eq!(seen(never), None);
        let ever = app.get(&format!("{address}?as_of=2100-01-01T00:00:00Z")).await;
        assert_eq!(seen(ever), live[&(end, address)]);
    }
}

#[tokio::test]
async fn it_needs_no_read_model_and_waits_for_none() {
    let app = TestApp::new().await;
    // Nobody keeps the read models, which know of nothing.
    for (stream, event_type, payload) in events() {
        app.append(&stream, EventType::new(event_type, 1), &payload).await;
    }
    let address = format!("/v1/orders/{SMALL}");
    assert_eq!(app.get(&address).await.status, 404);
    assert_eq!(app.get_at(&address, 10).await.status, 503);
    let then = app.get(&format!("{address}?as_of=position:7")).await;
    assert_eq!(then.body["status"], "confirmed");
    for min in [0, 7, 10, i64::MAX] {
        assert_eq!(app.get_at(&format!("{address}?as_of=position:7"), min).await, then);
    }
    let mut broken = request(Method::GET, &format!("{address}?as_of=position:7"));
    broken.headers_mut().insert("annals-min-position", HeaderValue::from_static("last"));
    assert_eq!(app.send(broken).await.code(), "invalid-header");
}

#[tokio::test]
async fn what_is_no_moment_of_a_document() {
    let app = TestApp::new().await;
    for (stream, event_type, payload) in events() {
        app.append(&stream, EventType::new(event_type, 1), &payload).await;
    }
    let mut table = Vec::new();
    for (what, query) in [
        ("a version", "as_of=version:3"),
        ("no moment", "as_of=yesterday"),
        ("no position", "as_of=position:-1"),
        ("nothing", "as_of="),
        ("twice", "as_of=position:1&as_of=position:1"),
        ("unknown parameter", "asof=position:1"),
        ("beyond the log", "as_of=position:11"),
        ("before it was made", "as_of=position:2"),
    ] {
        let sent = format!("/v1/orders/{SMALL}?{query}");
        let answer = app.get(&sent).await;
        assert!(answer.status == 400 || answer.status == 404, "{what}: {answer:?}");
        let product = app.get(&format!("/v1/products/{CUP}?{query}")).await;
        assert_eq!((product.status, product.code()), (answer.status, answer.code()), "{what}");
        table.push(Case { what: what.to_owned(), sent, answer });
    }
    insta::assert_json_snapshot!(table);
    // Lists are as they are.
    for address in ["/v1/orders", "/v1/products"] {
        let answer = app.get(&format!("{address}?as_of=position:1")).await;
        assert_eq!(answer.code(), "invalid-parameter");
        assert_eq!(answer.body["errors"][0]["pointer"], "as_of");
    }
}
