//! The same over a WebSocket.

use std::time::Duration;

use api::feed::Settings;
use axum::body::Body;
use axum::http::Request;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use uuid::Uuid;

use super::world::{Process, confirm, flood, order, path, place, receive, small};
use crate::support::{LIMIT, TestApp};

struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn open(process: &Process, query: &str) -> Self {
        Self::ask(process, query, None).await.unwrap()
    }

    async fn ask(process: &Process, query: &str, origin: Option<&str>) -> Result<Self, Error> {
        let url = format!("ws://{}{}", process.address, path(query));
        let mut request = url.into_client_request().unwrap();
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4_096).unwrap();
        let stream = socket.connect(process.address).await.unwrap();
        Ok(Self(client_async(request, stream).await?.0))
    }

    async fn heard(&mut self) -> Message {
        timeout(LIMIT, self.0.next()).await.expect("a frame in time").unwrap().unwrap()
    }

    /// The next frame that is a heartbeat, or is none.
    async fn frame(&mut self, is_heartbeat: bool) -> Value {
        let found = async {
            loop {
                if let Message::Text(text) = self.heard().await {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    if (frame["event"] == "heartbeat") == is_heartbeat {
                        return frame;
                    }
                }
            }
        };
        timeout(LIMIT, found).await.expect("it in time")
    }

    /// The next message, or snapshot.
    async fn next(&mut self) -> Value {
        self.frame(false).await
    }

    /// Where the next heartbeat says that it may resume.
    async fn heartbeat(&mut self) -> String {
        self.frame(true).await["id"].as_str().unwrap().to_owned()
    }

    async fn positions(&mut self, count: usize) -> Vec<i64> {
        let mut positions = Vec::new();
        while positions.len() < count {
            positions.push(self.next().await["id"].as_str().unwrap().parse().unwrap());
        }
        positions
    }

    /// Reads on until the server closes.
    async fn closing(&mut self) -> (Vec<i64>, CloseFrame) {
        let mut positions = Vec::new();
        loop {
            match self.heard().await {
                Message::Text(text) => {
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    if frame["event"] != "heartbeat" {
                        positions.push(frame["id"].as_str().unwrap().parse().unwrap());
                    }
                }
                Message::Close(frame) => return (positions, frame.unwrap()),
                _ => {}
            }
        }
    }
}

#[tokio::test]
async fn a_message_is_a_frame() {
    let app = TestApp::new().await;
    confirm(&app, 1).await;
    let process = Process::start(&app, small()).await;
    let mut client = Client::open(&process, "").await;
    let begin = client.heard().await.into_text().unwrap();
    assert_eq!(begin.as_str(), r#"{"id":"1","event":"heartbeat","data":{}}"#);
    confirm(&app, 2).await;
    let id = Uuid::from_u128(2);
    let message = json!({ "subject": order(2), "data": { "order_id": id } });
    let expected = json!({ "id": "2", "event": "ordering.order-confirmed.v1", "data": message });
    assert_eq!(client.next().await, expected);
    process.measures(r#"annals_feed_connections{transport="websocket"}"#, |open| open == 1).await;
    drop(client);
    process.measures(r#"annals_feed_connections{transport="websocket"}"#, |open| open == 0).await;
}

#[tokio::test]
async fn it_is_resumed_and_begins_with_a_snapshot_like_the_other() {
    let app = TestApp::new().await;
    for number in 1..=100 {
        confirm(&app, number).await;
    }
    let process = Process::start(&app, small()).await;
    let mut client = Client::open(&process, "after=0").await;
    assert_eq!(client.positions(100).await, (1..=100).collect::<Vec<_>>());
    let mut again = Client::open(&process, "after=90").await;
    assert_eq!(again.positions(10).await, (91..=100).collect::<Vec<_>>());

    place(&app, 1_000, 1).await;
    let id = Uuid::from_u128(1_000);
    let mut client = Client::open(&process, &format!("snapshot=orders/{id}")).await;
    let snapshot = client.next().await;
    assert_eq!((&snapshot["id"], &snapshot["event"]), (&json!("101"), &json!("snapshot")));
    let then = app.get(&format!("/v1/orders/{id}?as_of=position:101")).await;
    assert_eq!(snapshot["data"], then.body);
    confirm(&app, 7).await;
    confirm(&app, 1_000).await;
    assert_eq!(client.positions(1).await, [103]);
}

#[tokio::test]
async fn whoever_says_something_is_sent_away() {
    let app = TestApp::new().await;
    let process = Process::start(&app, small()).await;
    for said in [Message::text("subscribe"), Message::binary(vec![1, 2, 3])] {
        let mut client = Client::open(&process, "").await;
        client.0.send(said).await.unwrap();
        let (_, frame) = client.closing().await;
        assert_eq!(u16::from(frame.code), 1003);
    }
    let reason = r#"annals_feed_closed_total{reason="protocol"}"#;
    process.measures(reason, |closed| closed == 2).await;
    // More than anybody has to say ends it, too.
    let mut client = Client::open(&process, "").await;
    client.0.send(Message::text("x".repeat(100_000))).await.unwrap();
    let open = r#"annals_feed_connections{transport="websocket"}"#;
    process.measures(open, |open| open == 0).await;
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused() {
    let app = TestApp::new().await;
    let process = Process::start(&app, small()).await;
    let own = format!("http://{}", process.address);
    assert!(Client::ask(&process, "", Some(&own)).await.is_ok());
    for foreign in ["http://evil.example", "http://127.0.0.1:1", "null"] {
        let Err(Error::Http(answer)) = Client::ask(&process, "", Some(foreign)).await else {
            panic!("{foreign} is let in");
        };
        assert_eq!(answer.status(), 403);
        let problem: Value = serde_json::from_slice(answer.body().as_ref().unwrap()).unwrap();
        assert_eq!(problem["code"], "foreign-origin");
    }
}

#[tokio::test]
async fn what_is_no_web_socket() {
    let app = TestApp::new().await;
    let request = Request::get("/v1/events").header("upgrade", "websocket");
    let answer = app.send(request.body(Body::empty()).unwrap()).await;
    insta::assert_json_snapshot!(answer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_falls_too_far_behind_is_told_where_to_resume() {
    let app = TestApp::new().await;
    // Signs of life would go unanswered before.
    let heartbeat = Duration::from_secs(2);
    let process = Process::start(&app, Settings { behind: 50, heartbeat, ..small() }).await;
    let mut slow = Client::open(&process, "").await;
    let begin = receive(&app, 1).await;
    while slow.heartbeat().await != begin.to_string() {}
    let end = flood(&app, None).await;
    process.measures("annals_feed_behind_positions", |behind| behind > 50).await;
    let (told, frame) = slow.closing().await;
    let last = told.last().copied().unwrap_or(begin);
    assert!(last < end);
    assert_eq!(told, (begin + 1..=last).collect::<Vec<_>>());
    assert_eq!(u16::from(frame.code), 1013);
    assert_eq!(frame.reason.as_str(), format!("resume after {last}"));
    let mut again = Client::open(&process, &format!("after={last}")).await;
    let rest = usize::try_from(end - last).unwrap();
    assert_eq!(again.positions(rest).await, (last + 1..=end).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_nothing_is_closed() {
    let app = TestApp::new().await;
    // Without signs of life: those would go unanswered, too.
    let (stalled, heartbeat) = (Duration::from_millis(100), Duration::from_mins(5));
    let settings = Settings { stalled, heartbeat, ..small() };
    let process = Process::start(&app, settings).await;
    let client = Client::open(&process, "").await;
    flood(&app, None).await;
    process.measures(r#"annals_feed_closed_total{reason="stalled"}"#, |closed| closed == 1).await;
    drop(client);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_answers_no_ping_is_closed() {
    let app = TestApp::new().await;
    let settings = Settings { heartbeat: Duration::from_millis(50), ..small() };
    let process = Process::start(&app, settings).await;
    // Nobody reads, so nobody answers.
    let client = Client::open(&process, "").await;
    let reason = r#"annals_feed_closed_total{reason="unresponsive"}"#;
    process.measures(reason, |closed| closed == 1).await;
    drop(client);
    // Who answers stays.
    let mut client = Client::open(&process, "").await;
    for _ in 0..10 {
        let _ = client.heard().await;
    }
    confirm(&app, 1).await;
    assert_eq!(client.positions(1).await, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_stops_goes_away() {
    let app = TestApp::new().await;
    let process = Process::start(&app, small()).await;
    let mut client = Client::open(&process, "").await;
    confirm(&app, 1).await;
    assert_eq!(client.positions(1).await, [1]);
    process.tell_to_stop();
    let (_, frame) = client.closing().await;
    assert_eq!(u16::from(frame.code), 1001);
    assert_eq!(frame.reason.as_str(), "resume after 1");
    drop(client);
    process.stop().await;
}
