//! How connections end, and where they are resumed.

use std::time::Duration;

use api::feed::Settings;
use eventstore::EventType;
use serde_json::json;
use testkit::EventSource;
use tokio::task::JoinSet;

use super::world::{Feed, Process, at_the_end, confirm, flood, order, path, small};
use crate::support::TestApp;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_falls_too_far_behind_is_told_where_to_resume() {
    let app = TestApp::new().await;
    let settings = Settings { behind: 50, ..small() };
    let process = Process::start(&app, settings).await;
    let slow = EventSource::open_narrow(process.address, &path(""), None).await.unwrap();
    let mut slow = Feed(slow);
    at_the_end(&app, &mut slow).await;
    let mut quick = process.open("").await;
    let end = flood(&app, Some(&mut quick)).await;
    process.measures("annals_feed_behind_positions", |behind| behind > 50).await;

    let mut told = Vec::new();
    let closing = loop {
        let event = slow.next().await;
        if event.event == "closing" {
            break event;
        }
        told.push(event.id.parse::<i64>().unwrap());
    };
    let last = told.last().copied().unwrap_or(1);
    assert!(last < end);
    assert_eq!(told, (2..=last).collect::<Vec<_>>(), "nothing is left out before the end");
    let data: serde_json::Value = serde_json::from_str(&closing.data).unwrap();
    assert_eq!(data, json!({ "reason": "too-slow", "resume_after": last.to_string() }));
    assert_eq!(closing.id, last.to_string());
    assert_eq!(slow.0.next().await.unwrap(), None);
    process.measures(r#"annals_feed_closed_total{reason="too-slow"}"#, |closed| closed == 1).await;

    // However far behind it is: who has not been at the end is not too slow.
    let mut again = process.resume("", Some(slow.0.last_event_id())).await;
    let rest = usize::try_from(end - last).unwrap();
    assert_eq!(again.positions(rest).await, (last + 1..=end).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_stops_sends_its_clients_elsewhere() {
    let app = TestApp::new().await;
    let process = Process::start(&app, small()).await;
    let other = Process::start(&app, small()).await;
    let mut feeds = Vec::new();
    for _ in 0..10 {
        feeds.push(process.open("").await);
    }
    confirm(&app, 1).await;
    for feed in &mut feeds {
        assert_eq!(feed.positions(1).await, [1]);
    }
    process.tell_to_stop();
    let mut closing: JoinSet<_> = feeds.into_iter().map(Feed::closing).collect();
    while let Some(data) = closing.join_next().await {
        assert_eq!(data.unwrap(), json!({ "reason": "going-away", "resume_after": "1" }));
    }
    process.stop().await;
    confirm(&app, 2).await;
    assert_eq!(other.resume("", Some("1")).await.positions(1).await, [2]);
}

#[tokio::test]
async fn only_so_many_connections_are_let_in() {
    let app = TestApp::new().await;
    let process = Process::start(&app, Settings { connections: 2, ..small() }).await;
    let first = process.open("").await;
    let mut second = process.open("").await;
    let refused = process.ask("", None).await.err().unwrap().to_string();
    assert!(refused.starts_with("answered with 503"), "{refused}");
    assert!(refused.contains("retry-after: 1"), "{refused}");
    assert!(refused.contains(r#""code":"feed-full""#), "{refused}");
    // A request that is refused for another reason takes no place.
    assert!(process.ask("after=100", None).await.is_err());
    drop(first);
    process.measures(r#"annals_feed_connections{transport="sse"}"#, |open| open == 1).await;
    let mut third = process.open("").await;
    confirm(&app, 1).await;
    for feed in [&mut second, &mut third] {
        assert_eq!(feed.positions(1).await, [1]);
    }
    process.measures("annals_feed_messages_sent_total", |sent| sent == 2).await;
    process.measures(r#"annals_feed_closed_total{reason="client"}"#, |closed| closed == 1).await;
}

/// An event that this process cannot read, as one of a newer version may be.
#[tokio::test]
async fn what_cannot_be_read_is_not_passed_over() {
    let app = TestApp::new().await;
    let process = Process::start(&app, small()).await;
    let mut others = process.open(&format!("subject={}", order(2))).await;
    let all = process.open("").await;
    let concerned =
        process.open(&format!("subject={}&type=ordering.order-placed.v1", order(1))).await;
    let forgotten = EventType::new("ordering.order-forgotten", 1);
    let at = app.append(&order(1), forgotten, &json!({})).await;
    assert_eq!(confirm(&app, 2).await, at + 1);
    for feed in [all, concerned, process.open("after=0").await] {
        let closing = feed.closing().await;
        assert_eq!(closing, json!({ "reason": "unreadable", "resume_after": "0" }));
    }
    assert_eq!(others.positions(1).await, [at + 1], "it is nothing to them");
}

/// A client that connects while nobody else is there, and goes, and comes back.
#[tokio::test]
async fn a_feed_that_nobody_reads_begins_again() {
    let app = TestApp::new().await;
    let settings = Settings { behind: 3, heartbeat: Duration::from_mins(5), ..small() };
    let process = Process::start(&app, settings).await;
    let mut id = "0".to_owned();
    for round in 0..5 {
        let mut feed = process.resume("", Some(&id)).await;
        // More than `behind`: it has not been at the end yet.
        let expected: Vec<i64> = (round * 10 - 9..=round * 10).filter(|at| *at > 0).collect();
        assert_eq!(feed.positions(expected.len()).await, expected);
        feed.0.last_event_id().clone_into(&mut id);
        drop(feed);
        process.measures(r#"annals_feed_connections{transport="sse"}"#, |open| open == 0).await;
        for number in 0..10 {
            confirm(&app, number).await;
        }
    }
}
