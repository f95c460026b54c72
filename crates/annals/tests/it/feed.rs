//! The feed of real processes: whoever serves it may die.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use testkit::{EventSource, ServerEvent, eventually};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::support::{Client, Process, Site};

const LIMIT: Duration = Duration::from_mins(2);

const CLIENTS: usize = 4;
const ORDERS_PER_CLIENT: usize = 25;

/// After so many messages the process that they come from ends.
const LIFETIME: usize = 70;

/// A subscriber that reads from whoever is there.
struct Subscriber {
    source: EventSource,
    told: Vec<ServerEvent>,
}

impl Subscriber {
    async fn open(process: &Process) -> Self {
        let source = EventSource::open(process.address, "/v1/events?after=0", None).await.unwrap();
        Self { source, told: Vec::new() }
    }

    /// Goes on with another process where it was.
    async fn resume(&mut self, process: &Process) {
        let id = self.source.last_event_id().to_owned();
        let path = "/v1/events?after=0";
        self.source = EventSource::open(process.address, path, Some(&id)).await.unwrap();
    }

    /// Reads until so many messages more are there.
    async fn read(&mut self, count: usize) {
        for _ in 0..count {
            let next = timeout(LIMIT, self.source.next()).await.expect("a message in time");
            self.told.push(next.unwrap().expect("the stream goes on"));
        }
    }

    /// Reads what had come before the connection broke.
    async fn read_the_rest(&mut self) {
        while let Ok(Some(event)) = timeout(LIMIT, self.source.next()).await.unwrap() {
            self.told.push(event);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_goes_on_elsewhere_when_the_process_it_comes_from_is_killed() {
    let site = Site::new().await;
    let mut everything = site.serve("feed-everything", &[]);
    everything.ready().await;
    let (mut first, mut second) = (site.serve("feed-1", &["api"]), site.serve("feed-2", &["api"]));
    first.ready().await;
    second.ready().await;

    let mut subscriber = Subscriber::open(&first).await;
    let client = Client::new(everything.url(""));
    let product = client.list_product("MUG-1", 120).await;
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let (client, product) = (client.clone(), product.clone());
        clients.spawn(async move {
            for order in 0..ORDERS_PER_CLIENT {
                let quantity = 1 + u32::try_from(order % 3).unwrap();
                let key = format!("{number}/{order}");
                client.place_order(&key, &[(product.clone(), quantity)]).await;
            }
        });
    }

    subscriber.read(LIFETIME).await;
    first.kill9();
    subscriber.read_the_rest().await;
    subscriber.resume(&second).await;

    let mut third = site.serve("feed-3", &["api"]);
    third.ready().await;
    subscriber.read(LIFETIME).await;
    second.signal(Signal::TERM);
    let closing = loop {
        subscriber.read(1).await;
        if let Some(event) = subscriber.told.pop_if(|event| event.event == "closing") {
            break event;
        }
    };
    let position = |id: &str| id.parse::<i64>().unwrap();
    let last = position(&subscriber.told.last().unwrap().id);
    let words: Value = serde_json::from_str(&closing.data).unwrap();
    assert_eq!(words["reason"], "going-away");
    assert!(position(words["resume_after"].as_str().unwrap()) >= last, "{words} after {last}");
    assert!(timeout(LIMIT, subscriber.source.next()).await.unwrap().unwrap().is_none());
    assert!(second.ended(Duration::from_secs(30)).await.success());
    subscriber.resume(&third).await;

    clients.join_all().await;
    let expected = all_settled(&site).await;
    let missing = expected.len().saturating_sub(subscriber.told.len());
    subscriber.read(missing).await;
    let told: Vec<_> = subscriber.told.iter().map(seen).collect();
    assert_eq!(told, expected, "everything once and in order");
}

/// What the public must have been told, as position, type, id and stream: every order is settled.
async fn all_settled(site: &Site) -> Vec<(i64, String, String, String)> {
    let orders = CLIENTS * ORDERS_PER_CLIENT;
    eventually(LIMIT, "every order to be settled", async || {
        let told: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT position, o.subject, e.stream FROM eventstore.outbox AS o JOIN eventstore.events AS e USING (position) ORDER BY position",
        )
        .fetch_all(&site.database.pool())
        .await
        .unwrap();
        let is_settled = |subject: &str| {
            ["ordering.order-confirmed.v1", "ordering.order-rejected.v1"].contains(&subject)
        };
        let settled = told.iter().filter(|(_, subject, _)| is_settled(subject)).count();
        if settled < orders {
            return Err(settled);
        }
        let namespace = &site.broker.namespace;
        let told = told.into_iter().map(|(position, subject, stream)| {
            let name = format!("{namespace}.{subject}");
            (position, subject, name, stream)
        });
        Ok(told.collect())
    })
    .await
}

/// What an event says of itself, outside and inside.
fn seen(event: &ServerEvent) -> (i64, String, String, String) {
    let message: Value = serde_json::from_str(&event.data).unwrap();
    assert_eq!(message["specversion"], "1.0");
    assert_eq!(message["datacontenttype"], "application/json");
    assert_eq!(message["position"], event.id);
    assert!(message["data"].is_object(), "{message}");
    let text = |name: &str| message[name].as_str().unwrap().to_owned();
    (event.id.parse().unwrap(), event.event.clone(), text("type"), text("subject"))
}
