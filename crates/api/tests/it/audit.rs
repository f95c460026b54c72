//! What auditors ask: the log through filters, streams at any moment, and what changed.

use eventstore::{
    Append, CommandId, EventType, ExpectedVersion, Fingerprint, Metadata, NewEvent, StreamId,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Answer, Case, TestApp, order};

/// What the clock of the database and the id of the log decide is taken out.
fn steady(mut answer: Answer) -> Answer {
    fn mask(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    if matches!(name.as_str(), "recorded_at" | "event_id" | "command_id")
                        && value.is_string()
                    {
                        *value = Value::String("…".to_owned());
                    }
                    mask(value);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(mask),
            _ => {}
        }
    }
    mask(&mut answer.body);
    answer
}

/// Two products and an order; the streams of a stock and of the order.
async fn story() -> (TestApp, String, String) {
    let app = TestApp::new().await;
    let mug = app.list("Mug-1", 1250, "EUR").await;
    app.list("Plate-1", 800, "EUR").await;
    let placed = app.post("/v1/orders", order(&[(&mug, 2)])).await;
    let id = placed.body["id"].as_str().unwrap().to_owned();
    (app, format!("inventory.stock-{mug}"), format!("ordering.order-{id}"))
}

#[tokio::test]
async fn the_log_is_read_page_by_page_through_filters() {
    let (app, stock, _) = story().await;
    let first = app.get("/v1/audit/events?limit=2").await;
    insta::assert_json_snapshot!("audit_first_page", steady(first.clone()));
    let mut address = "/v1/audit/events?limit=2".to_owned();
    let mut positions = Vec::new();
    loop {
        let page = app.get(&address).await;
        let items = page.body["items"].as_array().unwrap().clone();
        positions.extend(items.iter().map(|item| item["position"].as_i64().unwrap()));
        let Some(cursor) = page.body["next_cursor"].as_str() else { break };
        address = format!("/v1/audit/events?limit=2&cursor={cursor}");
    }
    assert_eq!(positions, [1, 2, 3, 4, 5]);

    let at = first.body["items"][0]["recorded_at"].as_str().unwrap().to_owned();
    let correlation = first.body["items"][0]["correlation_id"].as_str().unwrap().to_owned();
    for (query, expected) in [
        ("after=3".to_owned(), vec![4, 5]),
        ("to=2".to_owned(), vec![1, 2]),
        ("type=ordering.order-placed".to_owned(), vec![5]),
        ("type=ordering.order-placed&type=catalog.product-listed".to_owned(), vec![1, 3, 5]),
        ("category=inventory.stock".to_owned(), vec![2, 4]),
        ("type=eventstore.subject-erased".to_owned(), vec![]),
        ("category=eventstore.subject".to_owned(), vec![]),
        ("tag=none".to_owned(), vec![]),
        ("actor=nobody".to_owned(), vec![]),
        ("tenant=00000000-0000-7000-8000-0000000000aa".to_owned(), vec![]),
        (format!("correlation={correlation}"), vec![1, 2, 3, 4, 5]),
        ("correlation=00000000-0000-7000-8000-0000000000aa".to_owned(), vec![]),
        (format!("causation={correlation}"), vec![]),
        (format!("until={at}"), vec![1, 2]),
        (format!("since={at}"), vec![1, 2, 3, 4, 5]),
        ("since=2100-01-01T00:00:00Z".to_owned(), vec![]),
    ] {
        let page = app.get(&format!("/v1/audit/events?{query}")).await;
        assert_eq!(page.status, 200, "{query}: {page:?}");
        let items = page.body["items"].as_array().unwrap();
        let positions: Vec<_> =
            items.iter().map(|item| item["position"].as_i64().unwrap()).collect();
        assert_eq!(positions, expected, "{query}");
        assert!(page.body.get("next_cursor").is_none(), "{query}: {page:?}");
    }

    let event = &first.body["items"][1];
    assert_eq!(event["stream"], stock);
    let id = event["event_id"].as_str().unwrap();
    assert_eq!(app.get(&format!("/v1/audit/events/{id}")).await.body, *event);
}

#[tokio::test]
async fn a_tenant_finds_its_own() {
    let (app, stock, _) = story().await;
    let tenant = Uuid::from_u128(0x7e);
    let stream = StreamId::new(stock).unwrap();
    let metadata = Metadata {
        actor: "somebody".to_owned(),
        tenant: Some(tenant),
        correlation_id: tenant,
        causation_id: None,
        trace: None,
    };
    let event_type = EventType::new("inventory.stock-received", 1);
    let append = Append {
        expectations: vec![(stream.clone(), ExpectedVersion::Any)],
        events: vec![NewEvent::new(stream, event_type, "{}")],
        ..Append::new(CommandId::new(tenant), Fingerprint::of(b""), metadata)
    };
    app.store().append(append).await.unwrap();
    let page = app.get(&format!("/v1/audit/events?tenant={tenant}")).await;
    let items = page.body["items"].as_array().unwrap();
    let [event] = items.as_slice() else { panic!("one: {page:?}") };
    assert_eq!((event["position"].as_i64(), &event["tenant"]), (Some(6), &json!(tenant)));
    let id = event["event_id"].as_str().unwrap();
    assert_eq!(app.get(&format!("/v1/audit/events/{id}")).await.body, *event);
    let other = app.get("/v1/audit/events?to=5").await;
    let is_nobodys = |event: &Value| event["tenant"].is_null();
    assert!(other.body["items"].as_array().unwrap().iter().all(is_nobodys), "{other:?}");
}

#[tokio::test]
async fn a_stream_is_told_as_it_was() {
    let (app, stock, order) = story().await;
    let address = format!("/v1/audit/streams/{order}/events");
    insta::assert_json_snapshot!("audit_stream", steady(app.get(&address).await));
    for (as_of, count) in
        [("version:0", 0), ("version:1", 1), ("position:4", 0), ("2100-01-01T00:00:00Z", 1)]
    {
        let page = app.get(&format!("{address}?as_of={as_of}&limit=1")).await;
        assert_eq!(page.body["items"].as_array().unwrap().len(), count, "{as_of}");
    }
    let state = app.get(&format!("/v1/audit/streams/{order}/state")).await;
    insta::assert_json_snapshot!("audit_order_state", steady(state));
    let state = app.get(&format!("/v1/audit/streams/{stock}/state?as_of=position:2")).await;
    insta::assert_json_snapshot!("audit_stock_state", steady(state));
    let state = app.get(&format!("/v1/audit/streams/{stock}/state?as_of=version:0")).await;
    insta::assert_json_snapshot!("audit_state_before_anything", steady(state));
}

#[tokio::test]
async fn what_changed_is_told_with_its_events() {
    let (app, stock, _) = story().await;
    let address = format!("/v1/audit/streams/{stock}/difference");
    let grown = app.get(&format!("{address}?from=version:0&to=version:1")).await;
    insta::assert_json_snapshot!("audit_difference", steady(grown));
    let same = app.get(&format!("{address}?from=position:2&to=2100-01-01T00:00:00Z")).await;
    assert_eq!(same.body["changes"], json!([]));
    assert_eq!(same.body["events"], json!([]));
}

#[tokio::test]
async fn what_no_auditor_can_ask() {
    let (app, stock, _) = story().await;
    let absent = "ordering.order-00000000-0000-7000-8000-000000000001";
    let cases = [
        ("unknown parameter", "/v1/audit/events?colour=red".to_owned()),
        (
            "parameter of one event",
            "/v1/audit/events/00000000-0000-7000-8000-000000000001?a=b".to_owned(),
        ),
        ("no page", "/v1/audit/events?limit=0".to_owned()),
        ("no cursor", "/v1/audit/events?cursor=next".to_owned()),
        ("limit twice", "/v1/audit/events?limit=1&limit=2".to_owned()),
        ("no position", "/v1/audit/events?after=-1".to_owned()),
        ("no time", "/v1/audit/events?since=yesterday".to_owned()),
        ("no type", "/v1/audit/events?type=ordering.order-plcaed".to_owned()),
        ("no category", "/v1/audit/events?category=order".to_owned()),
        ("no tag", "/v1/audit/events?tag=".to_owned()),
        ("no tenant", "/v1/audit/events?tenant=acme".to_owned()),
        ("no correlation", "/v1/audit/events?correlation=7".to_owned()),
        ("no event id", "/v1/audit/events/7".to_owned()),
        ("absent event", "/v1/audit/events/00000000-0000-7000-8000-000000000001".to_owned()),
        ("no stream name", "/v1/audit/streams/%01/events".to_owned()),
        ("absent stream", format!("/v1/audit/streams/{absent}/events")),
        ("absent stream's state", format!("/v1/audit/streams/{absent}/state")),
        ("foreign stream's state", "/v1/audit/streams/astrology.star-1/state".to_owned()),
        ("no moment", format!("/v1/audit/streams/{stock}/state?as_of=yesterday")),
        ("later version", format!("/v1/audit/streams/{stock}/state?as_of=version:9")),
        ("later position", format!("/v1/audit/streams/{stock}/events?as_of=position:99")),
        ("no first moment", format!("/v1/audit/streams/{stock}/difference?to=version:1")),
        ("backwards", format!("/v1/audit/streams/{stock}/difference?from=version:1&to=version:0")),
    ];
    let mut table = Vec::new();
    for (what, sent) in cases {
        let answer = app.get(&sent).await;
        assert!((400..500).contains(&answer.status), "{what}: {answer:?}");
        answer.code();
        table.push(Case { what: what.to_owned(), sent, answer });
    }
    insta::assert_json_snapshot!(table);
}
