//! Projectors are killed and replaced under load: others hold what they held, nothing is lost, nothing
//! is taken twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use testkit::eventually;
use tokio::task::JoinSet;

use crate::projections::LIMIT;
use crate::support::{Client, Process, Site};

const CLIENTS: usize = 3;
const READ_MODELS: [&str; 4] = ["orders", "organizations", "products", "users"];
/// Of all read models together.
const SLOTS: i64 = 32;

/// How many slots of all read models `process` keeps.
async fn kept_by(site: &Site, process: &Process) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM projections.generations AS g JOIN projections.slots AS s ON s.generation = g.id
         JOIN projections.workers AS w ON w.id = s.owner AND w.expires_at > clock_timestamp()
         WHERE g.state = 'live' AND w.name LIKE '%process ' || $1",
    )
    .bind(process.id().to_string())
    .fetch_one(&site.database.pool())
    .await
    .unwrap()
}

/// Waits until `process` keeps `slots`; answers with how long that took.
async fn keeps(site: &Site, process: &Process, slots: impl Fn(i64) -> bool) -> Duration {
    let begun = Instant::now();
    eventually(LIMIT, "the slots to be kept", async || {
        let kept = kept_by(site, process).await;
        if slots(kept) { Ok(()) } else { Err(kept) }
    })
    .await;
    begun.elapsed()
}

/// Waits until read models have taken in what is in the log now, while more comes.
async fn goes_on(site: &Site) -> Duration {
    let begun = Instant::now();
    let head: i64 = sqlx::query_scalar("SELECT max(position) FROM eventstore.events")
        .fetch_one(&site.database.pool())
        .await
        .unwrap();
    eventually(LIMIT, "read models to go on", async || {
        let behind: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM projections.generations AS g JOIN projections.slots AS s ON s.generation = g.id
             WHERE g.state = 'live' AND s.position < $1",
        )
        .bind(head)
        .fetch_one(&site.database.pool())
        .await
        .unwrap();
        if behind == 0 { Ok(()) } else { Err(behind) }
    })
    .await;
    begun.elapsed()
}

/// Places orders until `over`; answers with their ids.
async fn place_orders(
    client: Client,
    product: String,
    number: usize,
    over: Arc<AtomicBool>,
) -> Vec<String> {
    let mut orders = Vec::new();
    while !over.load(Ordering::Relaxed) {
        let key = format!("order {number} {}", orders.len());
        orders.push(client.place_order(&key, &[(product.clone(), 1)]).await);
    }
    orders
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn projectors_that_die_and_come_leave_no_gap_and_no_difference() {
    let site = Site::new().await;
    let mut serving = site.serve("drill-serving", &["api", "relay", "worker"]);
    let mut first = site.serve("drill-first", &["projector"]);
    let mut second = site.serve("drill-second", &["projector"]);
    for process in [&mut serving, &mut first, &mut second] {
        process.ready().await;
    }
    let client = Client::new(serving.url(""));
    let product = client.list_product("SKU-1", 1_000_000).await;
    keeps(&site, &first, |slots| slots == SLOTS / 2).await;
    keeps(&site, &second, |slots| slots == SLOTS / 2).await;
    let over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(place_orders(client.clone(), product.clone(), number, Arc::clone(&over)));
    }
    goes_on(&site).await;

    first.kill9();
    let taken = keeps(&site, &second, |slots| slots == SLOTS).await;
    let moved = goes_on(&site).await;
    println!(
        "kill -9 of one of two: the other holds all slots after {taken:.1?}, caught up after {moved:.1?} more"
    );

    let mut third = site.serve("drill-third", &["projector"]);
    second.signal(Signal::TERM);
    assert!(second.ended(LIMIT).await.success(), "{}", second.output());
    let taken = keeps(&site, &third, |slots| slots == SLOTS).await;
    let moved = goes_on(&site).await;
    println!(
        "SIGTERM while a third starts: it holds all slots {taken:.1?} after the end, caught up after {moved:.1?} more"
    );
    third.ready().await;

    over.store(true, Ordering::Relaxed);
    let orders: Vec<_> = clients.join_all().await.into_iter().flatten().collect();
    let settled = eventually(Duration::from_mins(2), "every order to be settled", async || {
        let listed = client.all("/v1/orders").await;
        let open = listed.iter().filter(|order| order["status"] == "placed").count();
        if listed.len() == orders.len() && open == 0 {
            Ok(listed)
        } else {
            Err((listed.len(), open))
        }
    })
    .await;
    println!("{} orders were placed and settled meanwhile", settled.len());
    for name in READ_MODELS {
        site.caught_up(name).await;
        let verified = site.run(&["projections", "verify", name]);
        assert_eq!(verified.code, 0, "{verified:?}");
    }
    // Counted apart from those who fill them, after the last event.
    eventually(LIMIT, "the log to be counted", async || {
        let uncounted: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM projections.generations AS g JOIN projections.slots AS s ON s.generation = g.id
             LEFT JOIN projections.digests AS d USING (generation, slot)
             WHERE g.state = 'live' AND s.events <> coalesce(d.events, 0)",
        )
        .fetch_one(&site.database.pool())
        .await
        .unwrap();
        if uncounted == 0 { Ok(()) } else { Err(uncounted) }
    })
    .await;
    let metrics = client.text("/metrics").await;
    for name in READ_MODELS {
        let line = format!("annals_projection_differs{{projection=\"{name}\"}} 0\n");
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
}
