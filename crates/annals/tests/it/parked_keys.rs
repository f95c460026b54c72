//! The operator's way with keys that are parked: list, show, retry, skip.

use std::time::Duration;

use serde_json::Value;
use sqlx::PgPool;
use testkit::eventually;

use crate::projections::{LIMIT, confirmed};
use crate::support::{Client, Process, Site};

/// Orders that are placed and not confirmed yet, as nobody works on policies.
async fn placed(client: &Client, product: &str, keys: &[&str]) -> Vec<String> {
    let mut orders = Vec::new();
    for key in keys {
        let order = client.place_order(key, &[(product.to_owned(), 1)]).await;
        eventually(LIMIT, "the order to be seen", async || {
            let (status, order) = client.get(&format!("/v1/orders/{order}")).await;
            if status.is_success() { Ok(()) } else { Err(order) }
        })
        .await;
        orders.push(order);
    }
    orders
}

/// Takes the row of an order away; answers with what brings it back.
async fn take_away(pool: &PgPool, order: &str) -> String {
    let row: String = sqlx::query_scalar(
        "WITH gone AS (DELETE FROM orders_v4.orders WHERE order_id = $1::uuid RETURNING *)
         SELECT row_to_json(gone)::text FROM gone",
    )
    .bind(order)
    .fetch_one(pool)
    .await
    .unwrap();
    row
}

async fn bring_back(pool: &PgPool, row: &str) {
    let restore = "INSERT INTO orders_v4.orders SELECT * FROM json_populate_record(NULL::orders_v4.orders, $1::json)";
    sqlx::query(restore).bind(row).execute(pool).await.unwrap();
}

/// Waits until so many keys of orders are parked.
async fn parked(site: &Site, count: i64) {
    eventually(LIMIT, "keys to be parked", async || {
        let overview = site.overview("orders");
        if overview["live"]["parked_keys"] == count { Ok(()) } else { Err(overview) }
    })
    .await;
}

async fn worker(site: &Site) -> Process {
    let mut worker = site.serve("parked-worker", &["worker"]);
    worker.ready().await;
    worker
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_looks_after_parked_keys() {
    let site = Site::new().await;
    let pool = site.database.pool();
    let mut process = site.serve("parked", &["api", "relay", "projector"]);
    process.ready().await;
    let client = Client::new(process.url(""));
    let product = client.list_product("SKU-1", 1_000).await;
    let nothing = site.run(&["projections", "retry", "orders", "--all"]).ok();
    assert_eq!(nothing, "no key is parked\n");

    // The row that the next event of an order speaks of is not there: that key waits, others go on.
    let orders = placed(&client, &product, &["order 1", "order 2"]).await;
    let [broken, whole] = orders.as_slice() else { unreachable!("two") };
    let row = take_away(&pool, broken).await;
    let working = worker(&site).await;
    confirmed(&client, whole).await;
    parked(&site, 1).await;
    let list = site.run(&["projections", "list"]).ok();
    let (head, line) = (list.lines().next().unwrap(), list.lines().nth(1).unwrap());
    let column = head.find("PARKED").unwrap() + "PARKED".len();
    assert!(line[..column].ends_with(" 1"), "{list}");
    let metrics = client.text("/metrics").await;
    assert!(
        metrics.contains("annals_projection_parked_keys{projection=\"orders\"} 1"),
        "{metrics}"
    );
    let shown = site.run(&["projections", "show", "orders"]).ok();
    let wanted = format!("parked {broken}: 1 event from position ");
    assert!(shown.contains(&wanted) && shown.contains("nobody has placed the order"), "{shown}");
    let shown = site.run(&["projections", "show", "orders", "--json"]).ok();
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["parked"][0]["key"], broken.as_str(), "{shown}");
    let why = site.run(&["why", "orders"]).ok();
    assert!(why.contains(&format!("the key {broken} is parked since ")), "{why}");
    assert!(why.contains(&format!("`annals projections retry orders {broken}`")), "{why}");

    // Tried again before the cause is mended it stays parked, and after that it does not.
    let retry = ["projections", "retry", "orders", broken, "--by", "ada"];
    let retried = site.run(&retry);
    assert_eq!(retried.code, 1, "{retried:?}");
    assert!(retried.out.contains(": 0 events took effect, the next one not: "), "{retried:?}");
    let other = site.run(&["projections", "retry", "orders", whole]).refused();
    assert!(other.contains(&format!("no event of the key \"{whole}\" is parked")), "{other}");
    bring_back(&pool, &row).await;
    let retried = site.run(&retry).ok();
    assert_eq!(retried, format!("{broken}: 1 event took effect, it is not parked any more\n"));
    confirmed(&client, broken).await;
    assert_eq!(site.run(&["projections", "verify", "orders"]).code, 0);
    working.kill9();

    // Of two, one is given up, and the rebuild that mends both finds it again.
    let orders = placed(&client, &product, &["order 3", "order 4"]).await;
    for order in &orders {
        take_away(&pool, order).await;
    }
    let _working = worker(&site).await;
    parked(&site, 2).await;
    let skip = ["projections", "skip", "orders", &orders[0]];
    assert_eq!(site.run(&skip).code, 2, "a reason must be given");
    let blank = site.run(&[&skip[..], &["--reason", " "]].concat()).refused();
    assert!(blank.contains("say why with --reason"), "{blank}");
    let skipped = site.run(&[&skip[..], &["--reason", "a test order", "--by", "ada"]].concat());
    assert!(skipped.ok().contains("it is not parked any more"));
    parked(&site, 1).await;
    let verified = site.run(&["projections", "verify", "orders"]);
    assert_eq!(verified.code, 1, "{verified:?}");
    assert!(verified.out.contains("1 in the live one, 0 in the new one"), "{verified:?}");
    assert!(
        verified.out.contains(&format!("    {}: live nothing, log (", orders[0])),
        "{verified:?}"
    );
    let all = site.run(&["projections", "retry", "orders", "--all"]);
    assert!(all.code == 1 && all.out.starts_with(&orders[1]), "{all:?}");
    let rebuilt = site.run(&["projections", "rebuild", "orders"]).ok();
    assert!(rebuilt.contains("and live as generation"), "{rebuilt}");
    parked(&site, 0).await;
    for order in &orders {
        confirmed(&client, order).await;
    }
    assert_eq!(site.run(&["projections", "verify", "orders"]).code, 0);

    let record: Vec<(String, String, Option<String>, Option<String>)> = sqlx::query_as(
        "SELECT actor, action, key, reason FROM projections.interventions ORDER BY id",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let entry = |actor: &str, action: &str, key: Option<&String>, reason: Option<&str>| {
        (actor.to_owned(), action.to_owned(), key.cloned(), reason.map(ToOwned::to_owned))
    };
    assert_eq!(
        record,
        [
            entry("ada", "retry", Some(broken), None),
            entry("ada", "retry", Some(broken), None),
            entry("ada", "skip", Some(&orders[0]), Some("a test order")),
            entry("operator", "retry", Some(&orders[1]), None),
            entry("operator", "rebuild", None, None),
        ]
    );
    let change = sqlx::query("DELETE FROM projections.interventions").execute(&pool).await;
    assert!(change.unwrap_err().to_string().contains("what was done stays recorded"));
    // Waits for nothing, but ends only when the process has drained.
    process.signal(rustix::process::Signal::TERM);
    assert!(process.ended(Duration::from_secs(30)).await.success());
}
