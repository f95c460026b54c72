//! The main job, from end to end, while parts of it are killed.
//!
//! 200 orders over 20 products come from 8 clients at once. Meanwhile the relay is killed with
//! kill -9 and started again, and nats-server is restarted. In the end every order is settled, no
//! stock is promised twice, a subscriber in another language has every public event once and in
//! order, and the read models are what the log says.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use sqlx::PgPool;
use testkit::{Nats, TestBroker, TestDatabase, eventually};
use tokio::task::JoinSet;

use crate::support::{Client, MIGRATOR, Process, Received, Subscriber, trusting};

const PRODUCTS: usize = 20;
const STOCK: u32 = 30;
const CLIENTS: usize = 8;
const ORDERS_PER_CLIENT: usize = 25;
const ORDERS: usize = CLIENTS * ORDERS_PER_CLIENT;

/// An installation with each role in a process of its own.
struct World {
    database: TestDatabase,
    broker: TestBroker,
}

impl World {
    fn start(&self, role: &str) -> Process {
        let mut command = trusting(&["serve", "--role", role]);
        command
            .env("DATABASE_URL", self.database.url())
            .env("NATS_URL", &self.broker.url)
            .env("ANNALS_NATS__NAMESPACE", &self.broker.namespace);
        Process::spawn(role, command, crate::support::free_address())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_is_settled_and_told_once_whatever_is_killed_meanwhile() {
    let mut nats = Nats::start_ephemeral().unwrap();
    let database = TestDatabase::create(&MIGRATOR).await;
    let world = World { database, broker: TestBroker::on(&nats) };
    let mut api = world.start("api");
    let mut relay = world.start("relay");
    let (mut projector, mut worker) = (world.start("projector"), world.start("worker"));
    for process in [&mut api, &mut relay, &mut projector, &mut worker] {
        process.ready().await;
    }
    let subscriber = Subscriber::start(&world.broker);
    let client = Client::new(api.url(""));

    let mut products = Vec::new();
    for number in 0..PRODUCTS {
        products.push(client.list_product(&format!("SKU-{number}"), STOCK).await);
    }
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(place_orders(client.clone(), products.clone(), number));
    }

    // In the middle: some orders are placed, more come while nobody publishes, and some are
    // settled while most are still on their way when the broker goes.
    let pool = world.database.pool();
    recorded(&pool, "ordering.order-placed", ORDERS / 4).await;
    relay.kill9();
    recorded(&pool, "ordering.order-placed", ORDERS / 2).await;
    let _relay = world.start("relay");
    recorded(&pool, "inventory.reservation-made", ORDERS / 4).await;
    let _nats = tokio::task::spawn_blocking(move || {
        nats.restart().unwrap();
        nats
    })
    .await
    .unwrap();

    let orders: BTreeSet<_> = clients.join_all().await.into_iter().flatten().collect();
    assert_eq!(orders.len(), ORDERS, "every order has an id of its own");
    let settled = all_settled(&client).await;
    assert_eq!(settled.len(), ORDERS);
    assert!(settled.iter().all(|order| orders.contains(order["id"].as_str().unwrap())));

    assert_stock_is_right(&client, &settled).await;
    assert_told_once(&pool, &subscriber).await;
    assert_rebuild_is_equal(&world, &client).await;
}

/// What one client does: orders of one to three products.
async fn place_orders(client: Client, products: Vec<String>, number: usize) -> Vec<String> {
    let mut placed = Vec::new();
    for order in 0..ORDERS_PER_CLIENT {
        let seed = number * ORDERS_PER_CLIENT + order;
        let lines: Vec<_> = (0..=seed % 3)
            .map(|line| {
                let product = products[(seed * 7 + line * 3) % products.len()].clone();
                (product, 1 + u32::try_from((seed + line) % 4).unwrap())
            })
            .collect();
        placed.push(client.place_order(&format!("order {seed}"), &lines).await);
    }
    placed
}

/// Waits until `count` events of a type are in the log.
async fn recorded(pool: &PgPool, name: &str, count: usize) {
    eventually(Duration::from_mins(1), "more events in the log", async || {
        let query = "SELECT count(*) FROM eventstore.events WHERE type = $1";
        let recorded: i64 = sqlx::query_scalar(query).bind(name).fetch_one(pool).await.unwrap();
        if usize::try_from(recorded).unwrap() >= count { Ok(()) } else { Err(recorded) }
    })
    .await;
}

async fn all_settled(client: &Client) -> Vec<Value> {
    eventually(Duration::from_mins(2), "every order to be settled", async || {
        let orders = client.all("/v1/orders").await;
        let open = orders.iter().filter(|order| order["status"] == "placed").count();
        if orders.len() == ORDERS && open == 0 { Ok(orders) } else { Err((orders.len(), open)) }
    })
    .await
}

async fn assert_stock_is_right(client: &Client, orders: &[Value]) {
    let mut left: BTreeMap<String, i64> = BTreeMap::new();
    let mut confirmed = 0;
    for order in orders {
        if order["status"] == "confirmed" {
            confirmed += 1;
            for line in order["lines"].as_array().unwrap() {
                let product = line["product_id"].as_str().unwrap().to_owned();
                *left.entry(product).or_insert(i64::from(STOCK)) -=
                    line["quantity"].as_i64().unwrap();
            }
        } else {
            assert_eq!(order["status"], "rejected");
            assert!(!order["shortages"].as_array().unwrap().is_empty(), "{order}");
        }
    }
    assert!(confirmed > 0 && confirmed < ORDERS, "some of both: {confirmed} confirmed");
    let products = eventually(Duration::from_secs(30), "the stock to follow", async || {
        let products = client.all("/v1/products").await;
        let differs = products.iter().find(|product| {
            let id = product["id"].as_str().unwrap();
            product["available"].as_i64().unwrap()
                != left.get(id).copied().unwrap_or(i64::from(STOCK))
        });
        differs.cloned().map_or_else(|| Ok(products.clone()), Err)
    })
    .await;
    assert_eq!(products.len(), PRODUCTS);
    assert!(products.iter().all(|product| product["available"].as_i64().unwrap() >= 0));
}

/// Law 5, as a foreign system sees it.
async fn assert_told_once(pool: &PgPool, subscriber: &Subscriber) {
    let query = "SELECT eventstore.event_id(e.position, e.recorded_at)::text, o.position, e.stream, e.version, o.subject
                 FROM eventstore.outbox o JOIN eventstore.events e USING (position) ORDER BY o.position";
    let outbox: Vec<(String, i64, String, i64, String)> =
        sqlx::query_as(query).fetch_all(pool).await.unwrap();
    let received =
        eventually(Duration::from_mins(1), "the subscriber to have it all", async || {
            let received = subscriber.received();
            if received.len() >= outbox.len() {
                Ok(received)
            } else {
                Err((received.len(), outbox.len()))
            }
        })
        .await;
    assert_eq!(received.len(), outbox.len(), "nothing twice");
    let mut of_stream: BTreeMap<String, i64> = BTreeMap::new();
    for ((number, message), (id, position, stream, version, subject)) in
        (1..).zip(&received).zip(&outbox)
    {
        let Received { sequence, subject: sent_on, headers, data } = message;
        assert_eq!(*sequence, number);
        assert_eq!(&headers["ce-id"], id, "in log order");
        assert_eq!(headers["ce-position"], position.to_string());
        assert_eq!(&headers["ce-subject"], stream);
        assert_eq!(headers["ce-sequence"], version.to_string());
        assert!(sent_on.ends_with(&format!(".{subject}")), "{sent_on} {subject}");
        assert_eq!(&headers["ce-type"], sent_on);
        assert_eq!(headers["ce-specversion"], "1.0");
        assert_eq!(headers["content-type"], "application/json");
        for name in ["ce-source", "ce-time", "ce-correlationid", "ce-commandid"] {
            assert!(headers.contains_key(name), "{name} in {headers:?}");
        }
        assert!(data.is_object());
        let before = of_stream.insert(stream.clone(), *version);
        assert!(before.is_none_or(|before| before < *version), "{stream} in its own order");
    }
    let orders = of_stream.keys().filter(|stream| stream.starts_with("ordering.order-"));
    assert_eq!(orders.count(), ORDERS);
}

/// Law 7: what was kept live is what the log gives.
async fn assert_rebuild_is_equal(world: &World, client: &Client) {
    let before = (client.all("/v1/orders").await, client.all("/v1/products").await);
    for name in ["orders", "products"] {
        let rebuilt = trusting(&["projections", "rebuild", name])
            .env("DATABASE_URL", world.database.url())
            .output()
            .unwrap();
        assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    }
    let after = (client.all("/v1/orders").await, client.all("/v1/products").await);
    assert_eq!(before, after);
}
