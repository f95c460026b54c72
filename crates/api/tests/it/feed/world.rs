//! Processes that serve the feed of one log, and what happens there.

use std::net::SocketAddr;
use std::time::Duration;

use api::feed::Settings;
use eventstore::{EventType, Filter, Position, RecordedEvent, Wakeup};
use futures_util::TryStreamExt;
use futures_util::future::join_all;
use prometheus::{Registry, TextEncoder};
use serde_json::{Value, json};
use testkit::{EventSource, EventSourceError, ServerEvent, eventually};
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{LIMIT, TestApp, render};

/// A process that serves.
pub(super) struct Process {
    pub(super) address: SocketAddr,
    registry: Registry,
    stop: CancellationToken,
    feeding: JoinHandle<()>,
    serving: JoinHandle<()>,
}

impl Process {
    pub(super) async fn start(app: &TestApp, settings: Settings) -> Self {
        let (router, feed, registry) = app.beside(settings).await;
        let socket = TcpSocket::new_v4().unwrap();
        // What is not taken is soon too much.
        socket.set_send_buffer_size(16 * 1_024).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1_024).unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let wakeup = Wakeup::listen(app.pool());
        let feeding = tokio::spawn(feed.run(wakeup, stop.clone()));
        let stopped = stop.clone().cancelled_owned();
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).with_graceful_shutdown(stopped).await.unwrap();
        });
        Self { address, registry, stop, feeding, serving }
    }

    /// A connection that asks for what `query` says.
    pub(super) async fn open(&self, query: &str) -> Feed {
        self.resume(query, None).await
    }

    pub(super) async fn resume(&self, query: &str, last_event_id: Option<&str>) -> Feed {
        Feed(self.ask(query, last_event_id).await.unwrap())
    }

    pub(super) async fn ask(
        &self,
        query: &str,
        last_event_id: Option<&str>,
    ) -> Result<EventSource, EventSourceError> {
        EventSource::open(self.address, &path(query), last_event_id).await
    }

    /// Waits until it measures what `is_so` says of the figure.
    pub(super) async fn measures(&self, line: &str, is_so: impl Fn(i64) -> bool) {
        eventually(LIMIT, line, async || {
            let metrics = TextEncoder::new().encode_to_string(&self.registry.gather()).unwrap();
            let found =
                metrics.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
            found.filter(|figure| is_so(*figure)).ok_or(metrics)
        })
        .await;
    }

    /// Tells it to stop.
    pub(super) fn tell_to_stop(&self) {
        self.stop.cancel();
    }

    /// Stops, and waits until nothing is left to do.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        timeout(LIMIT, self.feeding).await.unwrap().unwrap();
        timeout(LIMIT, self.serving).await.unwrap().unwrap();
    }
}

pub(super) fn path(query: &str) -> String {
    format!("/v1/events?{query}")
}

/// An open connection.
pub(super) struct Feed(pub(super) EventSource);

impl Feed {
    /// The next event, which must come.
    pub(super) async fn next(&mut self) -> ServerEvent {
        let next = timeout(LIMIT, self.0.next()).await.expect("an event in time").unwrap();
        next.expect("the stream goes on")
    }

    /// The next `count` messages as positions.
    pub(super) async fn positions(&mut self, count: usize) -> Vec<i64> {
        let mut positions = Vec::new();
        while positions.len() < count {
            positions.push(self.next().await.id.parse().unwrap());
        }
        positions
    }

    /// Waits for the last words, behind which the stream must end.
    pub(super) async fn closing(mut self) -> Value {
        let closing = self.next().await;
        assert_eq!(closing.event, "closing");
        assert_eq!(timeout(LIMIT, self.0.next()).await.unwrap().unwrap(), None);
        serde_json::from_str(&closing.data).unwrap()
    }

    /// Waits until it is told to resume after `position`, without any event.
    pub(super) async fn reaches(&mut self, position: i64) {
        let limit = tokio::time::Instant::now() + LIMIT;
        while self.0.last_event_id() != position.to_string() {
            let id = self.0.last_event_id().to_owned();
            assert!(tokio::time::Instant::now() < limit, "is at {id:?}, not at {position}");
            let next = timeout(Duration::from_millis(20), self.0.next()).await;
            assert!(next.is_err(), "nothing else is told: {next:?}");
        }
    }
}

/// Waits until a connection that wants everything has been at the end of the log.
pub(super) async fn at_the_end(app: &TestApp, feed: &mut Feed) {
    let end = receive(app, 1).await;
    feed.reaches(end).await;
}

/// A quick and small feed.
pub(super) fn small() -> Settings {
    Settings { ring_messages: 20, heartbeat: Duration::from_millis(200), ..Settings::default() }
}

pub(super) fn order(number: u128) -> String {
    format!("ordering.order-{}", Uuid::from_u128(number))
}

/// Something of which the public is told on the stream of an order.
pub(super) async fn confirm(app: &TestApp, number: u128) -> i64 {
    let payload = json!({ "order_id": Uuid::from_u128(number) });
    app.append(&order(number), EventType::new("ordering.order-confirmed", 1), &payload).await
}

/// Something that nobody is told of.
pub(super) async fn receive(app: &TestApp, number: u128) -> i64 {
    let id = Uuid::from_u128(number);
    let payload = json!({ "product_id": id, "quantity": 1 });
    let stock = format!("inventory.stock-{id}");
    app.append(&stock, EventType::new("inventory.stock-received", 1), &payload).await
}

/// An order with as many lines as are asked for; 100 are some 18 KB.
pub(super) async fn place(app: &TestApp, number: u128, lines: u128) -> i64 {
    let price = json!({ "amount": 1250, "currency": "EUR" });
    let lines: Vec<_> = (0..lines)
        .map(|line| {
            let product = Uuid::from_u128(line + 1);
            json!({"product_id": product, "sku": "Mug-1", "name": "A mug", "quantity": 1, "unit_price": price})
        })
        .collect();
    let total = json!({ "amount": 1250 * lines.len(), "currency": "EUR" });
    let id = Uuid::from_u128(number);
    let payload = json!({"order_id": id, "lines": lines, "total": total, "placed_at": "2026-11-21T10:15:30.123456Z"});
    app.append(&order(number), EventType::new("ordering.order-placed", 1), &payload).await
}

/// Places more than there is room for between a process and a client that takes nothing; answers with
/// where the log ends then. Somebody `quick` takes them meanwhile.
pub(super) async fn flood(app: &TestApp, mut quick: Option<&mut Feed>) -> i64 {
    let mut end = app.store().head().await.unwrap().get();
    for batch in 0..15 {
        join_all((0..20).map(|number| place(app, batch * 20 + number, 100))).await;
        if let Some(quick) = &mut quick {
            assert_eq!(quick.positions(20).await, (end + 1..=end + 20).collect::<Vec<_>>());
        }
        end += 20;
    }
    end
}

/// What the log says must be told after `after`, by position.
pub(super) async fn told(
    app: &TestApp,
    after: i64,
    passes: impl Fn(&RecordedEvent, &str) -> bool,
) -> Vec<(i64, String, String)> {
    let (render, after) = (render(), Position::new(after));
    let log = app.store().read_log(Filter::everything(), after, Position::MAX);
    let events: Vec<_> = log.try_collect().await.unwrap();
    let told = events.iter().filter_map(|event| {
        let message = render(event).unwrap()?;
        let told = (event.position.get(), message.message_type, message.json);
        passes(event, &told.1).then_some(told)
    });
    told.collect()
}
