//! What a connection may ask for, and what it is told first.

use axum::body::Body;
use axum::http::Request;

use super::world::{Process, confirm, order, receive, small};
use crate::support::{Case, TestApp};

#[tokio::test]
async fn it_begins_now_and_says_where_that_is() {
    let app = TestApp::new().await;
    for number in 0..5 {
        confirm(&app, number).await;
    }
    let process = Process::start(&app, small()).await;
    let mut feed = process.open("").await;
    // Before anything has happened: a connection lost now is resumed here.
    feed.reaches(5).await;
    assert!(feed.0.retry().is_some());
    confirm(&app, 9).await;
    let event = feed.next().await;
    assert_eq!((event.id.as_str(), event.event.as_str()), ("6", "ordering.order-confirmed.v1"));
    assert_eq!(
        event.data,
        format!(
            r#"{{"subject":"{}","data":{{"order_id":"00000000-0000-0000-0000-000000000009"}}}}"#,
            order(9)
        )
    );
}

#[tokio::test]
async fn who_is_told_nothing_learns_how_far_the_log_is() {
    let app = TestApp::new().await;
    let process = Process::start(&app, small()).await;
    let mut feed = process.open(&format!("subject={}", order(1))).await;
    for number in 2..40 {
        confirm(&app, number).await;
    }
    let end = receive(&app, 1).await;
    feed.reaches(end).await;
    let own = confirm(&app, 1).await;
    assert_eq!(feed.positions(1).await, [own]);
}

#[tokio::test]
async fn the_last_event_id_wins_over_the_address() {
    let app = TestApp::new().await;
    for number in 0..5 {
        confirm(&app, number).await;
    }
    let process = Process::start(&app, small()).await;
    assert_eq!(process.resume("after=1", Some("3")).await.positions(2).await, [4, 5]);
    assert_eq!(process.open("after=1").await.positions(4).await, [2, 3, 4, 5]);
}

#[tokio::test]
async fn what_no_connection_can_ask_for() {
    let app = TestApp::new().await;
    for number in 0..5 {
        confirm(&app, number).await;
    }
    let many: Vec<_> = (0..101).map(|number| format!("subject={}", order(number))).collect();
    let many = many.join("&");
    let mut table = Vec::new();
    for (what, query) in [
        ("no position", "after=now"),
        ("a negative position", "after=-1"),
        ("a position with a sign", "after=%2B1"),
        ("two positions", "after=1&after=2"),
        ("beyond the log", "after=6"),
        ("an unknown type", "type=ordering.order-placed"),
        ("a private type", "type=ordering.order-placed.v1&type=inventory.stock-received.v1"),
        ("no subject", "subject=order-1"),
        (
            "a subject of another domain",
            "subject=billing.invoice-00000000-0000-0000-0000-000000000001",
        ),
        ("too many subjects", &many),
        ("a snapshot of nothing", "snapshot=orders"),
        ("a snapshot of a list", "snapshot=orders/"),
        ("a snapshot of something else", "snapshot=customers/00000000-0000-0000-0000-000000000001"),
        ("a snapshot of what is not there", "snapshot=orders/00000000-0000-0000-0000-000000000099"),
        ("an unknown parameter", "types=ordering.order-placed.v1"),
    ] {
        let answer = app.get(&format!("/v1/events?{query}")).await;
        assert!(answer.status == 400 || answer.status == 404, "{what}: {answer:?}");
        let sent = query.chars().take(100).collect();
        table.push(Case { what: what.to_owned(), sent, answer });
    }
    for (what, id) in [("an empty id", ""), ("no id", "last"), ("beyond the log", "6")] {
        let request = Request::get("/v1/events").header("last-event-id", id);
        let answer = app.send(request.body(Body::empty()).unwrap()).await;
        table.push(Case { what: what.to_owned(), sent: format!("Last-Event-ID: {id}"), answer });
    }
    let twice =
        Request::get("/v1/events").header("last-event-id", "1").header("last-event-id", "1");
    let answer = app.send(twice.body(Body::empty()).unwrap()).await;
    table.push(Case {
        what: "two ids".to_owned(),
        sent: "Last-Event-ID: 1, twice".to_owned(),
        answer,
    });
    insta::assert_json_snapshot!(table);
}
