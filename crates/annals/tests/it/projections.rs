//! The operator's way with read models: list, show, rebuild, verify, as-of.

use std::time::Duration;

use serde_json::Value;
use testkit::eventually;

use crate::support::{Client, Process, Site};

/// Longer than anything takes that works.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);

/// A running installation with orders that are settled, and its client.
pub(crate) struct Shop {
    pub(crate) process: Process,
    pub(crate) client: Client,
    pub(crate) product: String,
}

impl Shop {
    pub(crate) async fn open(site: &Site, name: &str) -> Self {
        let mut process = site.serve(name, &[]);
        process.ready().await;
        let client = Client::new(process.url(""));
        let product = client.list_product("SKU-1", 1_000).await;
        Self { process, client, product }
    }

    /// Places an order and waits until it is confirmed.
    pub(crate) async fn order(&self, key: &str) -> String {
        let order = self.client.place_order(key, &[(self.product.clone(), 2)]).await;
        self.confirmed(&order).await;
        order
    }

    pub(crate) async fn confirmed(&self, order: &str) {
        confirmed(&self.client, order).await;
    }
}

pub(crate) async fn confirmed(client: &Client, order: &str) {
    eventually(LIMIT, "the order to be confirmed", async || {
        let (_, order) = client.get(&format!("/v1/orders/{order}")).await;
        if order["status"] == "confirmed" { Ok(()) } else { Err(order) }
    })
    .await;
}

impl Site {
    /// What `annals projections list --json` says of the read model `name`.
    pub(crate) fn overview(&self, name: &str) -> Value {
        let list = self.run(&["projections", "list", "--json"]).ok();
        let all = list.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        all.into_iter().find(|one| one["name"] == name).unwrap()
    }

    /// What people did to read models: who, what and to which.
    pub(crate) async fn interventions(&self) -> Vec<(String, String, String)> {
        sqlx::query_as("SELECT actor, action, model FROM projections.interventions ORDER BY id")
            .fetch_all(&self.database.pool())
            .await
            .unwrap()
    }

    /// Waits until the read model `name` has taken in all there is, and the log has been counted.
    pub(crate) async fn caught_up(&self, name: &str) -> Value {
        eventually(LIMIT, "the read model to have taken in everything", async || {
            let overview = self.overview(name);
            let live = &overview["live"];
            if live["behind_events"] == 0 { Ok(overview) } else { Err(overview) }
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_how_read_models_are() {
    let site = Site::new().await;
    let shop = Shop::open(&site, "projections-list").await;
    let order = shop.order("order 1").await;
    shop.order("order 2").await;

    let overview = site.caught_up("orders").await;
    let live = &overview["live"];
    assert_eq!((&overview["version"], &live["parked_keys"]), (&4.into(), &0.into()), "{overview}");
    assert_eq!((&overview["making"], &live["difference"]), (&Value::Null, &Value::Null));
    let kept: i64 = live["keepers"].as_array().unwrap().iter().map(slots).sum();
    assert_eq!(kept, 8, "{overview}");

    let list = site.run(&["projections", "list"]).ok();
    let lines: Vec<_> = list.lines().collect();
    let [head, orders, organizations, products, users] = lines.as_slice() else {
        panic!("five lines: {list}")
    };
    assert!(orders.starts_with("orders ") && products.starts_with("products "), "{list}");
    assert!(organizations.starts_with("organizations ") && users.starts_with("users "), "{list}");
    for (column, value) in [("STATE", "live"), ("KEPT BY", "")] {
        let place = head.find(column).unwrap();
        assert!(
            orders[place..].starts_with(value) && orders.as_bytes()[place - 1] == b' ',
            "{list}"
        );
    }
    for column in ["VERSION", "POSITION", "BEHIND", "SECONDS", "PARKED"] {
        let end = head.find(column).unwrap() + column.len();
        let value = orders[..end].rsplit(' ').next().unwrap();
        assert!(value.parse::<f64>().is_ok() && orders[end..].starts_with(' '), "{column}: {list}");
    }

    let shown = site.run(&["projections", "show", "orders"]).ok();
    let reads = "reads ordering.order-placed, ordering.order-confirmed, ordering.order-rejected";
    assert!(shown.contains(reads) && shown.contains(": live, begun 2"), "{shown}");
    let shown = site.run(&["projections", "show", "orders", "--json"]).ok();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["overview"]["name"], "orders");
    assert_eq!(shown["generations"][0]["state"], "live", "{shown}");
    assert_eq!(
        (shown["reads"].as_array().unwrap().len(), &shown["parked"]),
        (3, &Value::Array(vec![]))
    );

    let metrics = shop.client.text("/metrics").await;
    for metric in ["lag_events", "lag_seconds", "parked_keys", "differs"] {
        let gauge = format!("annals_projection_{metric}{{projection=\"orders\"}} 0\n");
        assert!(metrics.contains(&gauge), "{gauge}: {metrics}");
    }
    let position =
        format!("annals_projection_position{{projection=\"orders\"}} {}\n", live["position"]);
    assert!(metrics.contains(&position), "{position}: {metrics}");
    for arguments in [&["projections", "show", "ordres"][..], &["why", "ordres"]] {
        assert!(
            site.run(arguments)
                .refused()
                .contains("there are: orders, organizations, products, users")
        );
    }

    what_it_held_earlier(&site, &order);
}

fn slots(keeper: &Value) -> i64 {
    keeper["slots"].as_i64().unwrap()
}

/// The order is placed by the second event of the log.
fn what_it_held_earlier(site: &Site, order: &str) {
    let as_of = |moment: &str| site.run(&["projections", "as-of", "orders", order, moment]);
    let stream = format!("ordering.order-{order}");
    let events = site.run(&["events", "show", &stream, "--json"]).ok();
    let events: Vec<Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [placed, confirmed] = events.as_slice() else { panic!("two events: {events:?}") };
    let moment = |event: &Value| format!("position:{}", event["position"]);
    let document: Value = serde_json::from_str(&as_of(&moment(placed)).ok()).unwrap();
    assert_eq!((&document["status"], &document["total"]), (&"placed".into(), &500.into()));
    let document: Value = serde_json::from_str(&as_of(&moment(confirmed)).ok()).unwrap();
    assert_eq!(document["status"], "confirmed");
    let document: Value = serde_json::from_str(&as_of("2100-01-01T00:00:00Z").ok()).unwrap();
    assert_eq!(document["status"], "confirmed", "a time to come is now");
    let nothing = format!("orders held nothing of {order} then");
    assert!(as_of("position:0").refused().contains(&nothing));
    assert!(as_of("2020-01-01T00:00:00Z").refused().contains(&nothing));
    assert!(as_of("position:1000000").refused().contains("is not there yet"));
    assert!(as_of("version:1").refused().contains("give a time or a position"));
    let no_key = site.run(&["projections", "as-of", "orders", "7", "position:1"]);
    assert!(no_key.refused().contains("\"7\" is no key"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_model_is_made_anew_while_it_serves() {
    let site = Site::new().await;
    let shop = Shop::open(&site, "projections-rebuild").await;
    let order = shop.order("order 1").await;
    shop.order("order 2").await;
    let before = site.caught_up("orders").await["live"]["generation"].clone();

    let rebuilt = site.run(&["projections", "rebuild", "orders", "--by", "ada"]);
    assert!(rebuilt.err.contains("orders ") && rebuilt.err.contains(" %"), "progress: {rebuilt:?}");
    let rebuilt = rebuilt.ok();
    assert!(rebuilt.contains("  orders: 2 rows, equal at position "), "{rebuilt}");
    assert!(rebuilt.contains("  order_lines: 2 rows, equal at position "), "{rebuilt}");
    let digest = rebuilt.split("digest ").nth(1).unwrap().lines().next().unwrap();
    assert!(digest.len() == 16 && u64::from_str_radix(digest, 16).is_ok(), "{rebuilt}");
    assert!(rebuilt.contains("orders is made anew up to position "), "{rebuilt}");
    let after = site.overview("orders")["live"]["generation"].clone();
    assert_ne!(after, before);
    assert!(rebuilt.contains(&format!(", and live as generation {after}")), "{rebuilt}");
    shop.order("order 3").await;
    let shown = site.run(&["projections", "show", "orders"]).ok();
    assert!(shown.contains(&format!("generation {before}: retired, ")), "{shown}");
    assert!(shown.contains(&format!("generation {after}: live, ")), "{shown}");
    assert!(shown.contains("equal at position "), "how the last one differed: {shown}");
    assert_eq!(
        site.interventions().await,
        [("ada".to_owned(), "rebuild".to_owned(), "orders_v4".to_owned())]
    );

    let verified = site.run(&["projections", "verify", "orders"]).ok();
    assert!(verified.starts_with("orders is what the log says\n"), "{verified}");
    assert!(verified.contains("  orders: 3 rows, equal at position "), "{verified}");
    assert_eq!(site.overview("orders")["making"], Value::Null, "nothing is left behind");

    // Somebody changes what only the log may change.
    let drift = "UPDATE orders_v4.orders SET total = total + 1 WHERE order_id = $1::uuid";
    sqlx::query(drift).bind(&order).execute(&site.database.pool()).await.unwrap();
    let verified = site.run(&["projections", "verify", "orders"]);
    assert_eq!(verified.code, 1, "{verified:?}");
    assert!(verified.out.starts_with("orders is not what the log says\n"), "{verified:?}");
    assert!(verified.out.contains("  orders: 1 row differs at position "), "{verified:?}");
    assert!(verified.out.contains(&format!("    {order}: live (")), "{verified:?}");
    let verified = site.run(&["projections", "verify", "orders", "--json"]);
    let comparison: Value = serde_json::from_str(&verified.out).unwrap();
    let table = comparison["tables"].as_array().unwrap();
    let table = table.iter().find(|table| table["table"] == "orders").unwrap();
    assert_eq!((verified.code, &table["different"]), (1, &1.into()), "{comparison}");
    assert_eq!(table["examples"][0]["key"], order.as_str(), "{comparison}");
    let rebuilt = site.run(&["projections", "rebuild", "orders", "--full-speed"]).ok();
    assert!(rebuilt.contains("  orders: 1 row differs at position "), "{rebuilt}");
    assert!(rebuilt.contains(&order) && rebuilt.contains("and live as generation"), "{rebuilt}");
    let verified = site.run(&["projections", "verify", "orders"]);
    assert_eq!(verified.code, 0, "mended: {verified:?}");
    drop(shop);
}
