//! `annals why`: what holds a read model back, and what to do about it.

use testkit::eventually;

use crate::projections::{LIMIT, Shop};
use crate::support::Site;

fn why(site: &Site) -> String {
    site.run(&["why", "orders"]).ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_names_what_holds_a_read_model_back() {
    let site = Site::new().await;
    let shop = Shop::open(&site, "why").await;
    shop.order("order 1").await;
    site.caught_up("orders").await;
    let nothing = why(&site);
    assert!(nothing.starts_with("nothing holds orders back: it has taken in all it reads up to "));
    assert!(nothing.ends_with("\n  there is nothing to do\n"), "{nothing}");

    let pause = site.run(&["projections", "pause", "orders", "--by", "ada"]).ok();
    assert_eq!(pause, "orders rests\n");
    let paused = why(&site);
    assert_eq!(paused, "orders is paused\n  `annals projections resume orders` lets it go on\n");
    assert!(site.run(&["projections", "list"]).ok().contains(" paused "));
    eventually(LIMIT, "the process to say so", async || {
        let ready = shop.client.text("/readyz").await;
        if ready.contains("is paused: `annals projections resume") { Ok(()) } else { Err(ready) }
    })
    .await;
    let order = shop.client.place_order("order 2", &[(shop.product.clone(), 1)]).await;
    eventually(LIMIT, "it to fall behind", async || {
        let overview = site.overview("orders");
        if overview["live"]["behind_events"] != 0 { Ok(()) } else { Err(overview) }
    })
    .await;
    let (status, _) = shop.client.get(&format!("/v1/orders/{order}")).await;
    assert_eq!(status, 404, "what rests takes nothing in");
    let resume = site.run(&["projections", "resume", "orders", "--by", "ada"]).ok();
    assert_eq!(resume, "orders goes on\n");
    shop.confirmed(&order).await;
    assert_eq!(
        site.interventions().await,
        ["pause", "resume"].map(|action| ("ada".into(), action.into(), "orders_v4".into()))
    );

    a_lock_of_somebody_else(&site, &shop).await;

    shop.process.kill9();
    let abandoned = eventually(LIMIT, "the lease to end", async || {
        let why = why(&site);
        if why.contains("nobody keeps") { Ok(why) } else { Err(why) }
    })
    .await;
    assert!(abandoned.contains("nobody keeps 8 of the 8 slots of orders\n"), "{abandoned}");
    assert!(abandoned.contains("run a process with the role projector"), "{abandoned}");
    assert!(site.run(&["projections", "list"]).ok().contains(" abandoned "));
}

/// Somebody holds a lock on the tables, and somebody else waits behind it: the first one is named.
async fn a_lock_of_somebody_else(site: &Site, shop: &Shop) {
    let pool = site.database.pool();
    let mut report = pool.begin().await.unwrap();
    sqlx::raw_sql(
        "SET LOCAL application_name = 'monthly report'; LOCK TABLE orders_v4.orders IN SHARE MODE",
    )
    .execute(&mut *report)
    .await
    .unwrap();
    let pid: i32 =
        sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *report).await.unwrap();
    let order = shop.client.place_order("order 3", &[(shop.product.clone(), 1)]).await;
    let held = eventually(LIMIT, "the lock to be named", async || {
        let why = why(site);
        if why.contains("has waited for a lock") { Ok(why) } else { Err(why) }
    })
    .await;
    let root = format!("at the root of it is session {pid} (monthly report, ");
    assert!(held.contains(&root) && held.contains("idle in transaction"), "{held}");
    assert!(held.contains(&format!("`SELECT pg_terminate_backend({pid})`")), "{held}");
    report.rollback().await.unwrap();
    shop.confirmed(&order).await;
}
