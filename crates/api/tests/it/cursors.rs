//! Cursors: pages of one query, whatever is written meanwhile.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{TestApp, product};

async fn walk(app: &TestApp, query: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut address = query.to_owned();
    loop {
        let page = app.get(&address).await;
        assert_eq!(page.status, 200, "{address}: {page:?}");
        items.extend(page.body["items"].as_array().unwrap().iter().cloned());
        match page.body["next_cursor"].as_str() {
            Some(cursor) => address = format!("{query}&cursor={cursor}"),
            None => return items,
        }
    }
}

fn texts(items: &[Value], name: &str) -> Vec<String> {
    items.iter().map(|item| item[name].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_sort_has_pages_and_so_has_its_reverse() {
    let app = TestApp::new().await;
    let listed = ["mug-b", "MUG-a", "Mug_9", "MUG-10"];
    for sku in listed {
        app.list(sku, 1_250, "EUR").await;
    }
    app.project().await;
    let by_sku = ["MUG-10", "MUG-a", "mug-b", "Mug_9"];
    for (sort, mut expected) in [("listed", listed), ("sku", by_sku)] {
        let query = format!("/v1/products?limit=1&sort={sort}");
        assert_eq!(texts(&walk(&app, &query).await, "sku"), expected, "{sort}");
        expected.reverse();
        let query = format!("/v1/products?limit=3&sort=-{sort}");
        assert_eq!(texts(&walk(&app, &query).await, "sku"), expected, "-{sort}");
    }
    let one = walk(&app, "/v1/products?sku=MUG-B").await;
    assert_eq!(texts(&one, "sku"), ["mug-b"], "whatever the case");
}

#[tokio::test]
async fn orders_are_filtered_by_how_they_stand() {
    let app = TestApp::new().await;
    let mug = app.list("MUG-1", 1_250, "EUR").await;
    let mut placed = Vec::new();
    for _ in 0..5 {
        let (address, _) = app.place(&[(&mug, 1)]).await;
        placed.push(address.rsplit('/').next().unwrap().to_owned());
    }
    let settled = placed.split_off(3);
    for id in &settled {
        let event = eventstore::EventType::new("ordering.order-confirmed", 1);
        let stream = format!("ordering.order-{id}");
        app.append(&stream, event, &serde_json::json!({"order_id": id})).await;
    }
    app.project().await;
    for (query, expected) in [
        ("status=placed&sort=placed", placed.clone()),
        ("status=confirmed&sort=placed", settled.clone()),
        ("status=confirmed", settled.iter().rev().cloned().collect()),
        ("status=rejected", Vec::new()),
        ("sort=placed", [placed.clone(), settled.clone()].concat()),
    ] {
        let items = walk(&app, &format!("/v1/orders?limit=2&{query}")).await;
        assert_eq!(texts(&items, "id"), expected, "{query}");
    }
}

#[tokio::test]
async fn a_cursor_is_good_for_its_query_alone() {
    let app = TestApp::new().await;
    for number in 0..3 {
        app.list(&format!("MUG-{number}"), 1_250, "EUR").await;
    }
    app.project().await;
    let page = app.get("/v1/products?limit=1&sort=listed").await;
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let same = format!("/v1/products?cursor={cursor}&limit=2&sort=listed");
    assert_eq!(app.get(&same).await.body["items"].as_array().unwrap().len(), 2);
    for other in [
        format!("/v1/products?cursor={cursor}"),
        format!("/v1/products?cursor={cursor}&sort=-listed"),
        format!("/v1/products?cursor={cursor}&sort=sku"),
        format!("/v1/products?cursor={cursor}&sort=listed&sku=mug-1"),
        format!("/v1/orders?cursor={cursor}"),
        format!("/v1/audit/events?cursor={cursor}"),
        format!("/v1/products?cursor={cursor}x&sort=listed"),
    ] {
        let answer = app.get(&other).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid-parameter"), "{other}");
    }
}

/// Ten thousand pages, while others write: nothing twice, and all that was there at the beginning.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_neither_repeat_nor_miss_while_others_write() {
    const PAGES: usize = 10_000;
    /// So that the end of a list does not run away from who reads it.
    const PAGES_A_WRITE: usize = 20;
    const SORTS: [&str; 4] = ["listed", "-listed", "sku", "-sku"];
    let app = TestApp::new().await;
    let keeper = app.keep();
    for number in 0..60 {
        app.list(&format!("MUG-{number}"), 1_250, "EUR").await;
    }
    keeper.catches_up(app.store()).await;
    let query = |sort: &str| format!("/v1/products?limit=7&sort={sort}");
    let there: BTreeSet<_> = texts(&walk(&app, &query("sku")).await, "id").into_iter().collect();
    let read = tokio::sync::watch::Sender::new(0_usize);
    let writes = async {
        let mut progress = read.subscribe();
        let mut number = 0;
        while *progress.wait_for(|pages| *pages >= number * PAGES_A_WRITE).await.unwrap() < PAGES {
            let answer = app.post("/v1/products", product(&format!("CUP-{number}"), 1, "EUR"));
            assert_eq!(answer.await.status, 201);
            number += 1;
        }
        number
    };
    let reads = SORTS.map(async |sort: &str| {
        while *read.borrow() < PAGES {
            let items = walk(&app, &query(sort)).await;
            read.send_modify(|pages| *pages += items.len().div_ceil(7));
            let ids = texts(&items, "id");
            let unique: BTreeSet<_> = ids.iter().cloned().collect();
            assert_eq!(unique.len(), ids.len(), "nothing twice, sorted by {sort}");
            assert!(unique.is_superset(&there), "nothing is missed, sorted by {sort}");
        }
    });
    let (written, _) = tokio::join!(writes, futures_util::future::join_all(reads));
    assert!(written >= PAGES / PAGES_A_WRITE / 2, "{written} writes");
    keeper.stop().await;
}
