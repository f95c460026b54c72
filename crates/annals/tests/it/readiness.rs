//! A process that answers queries is not ready while there is nothing to query.

use reqwest::StatusCode;
use serde_json::Value;
use testkit::eventually;

use crate::projections::{LIMIT, Shop};
use crate::support::{Client, Process, Site};

/// The part of `/readyz` that speaks of the read model of orders, and the status.
async fn readiness(client: &Client) -> Result<(StatusCode, Value), String> {
    let (status, readiness) = client.get("/readyz").await;
    let parts = readiness["parts"].as_array().ok_or("no parts")?;
    let part = parts.iter().find(|part| part["name"] == "read-model:orders");
    Ok((status, part.ok_or("no such part")?.clone()))
}

async fn listening(process: &Process) {
    eventually(LIMIT, "the process to answer", async || {
        reqwest::get(process.url("/livez")).await.map(drop).map_err(|error| error.to_string())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_model_that_is_not_there_is_made_and_then_the_process_is_ready() {
    let site = Site::new().await;
    let mut shop = Shop::open(&site, "readiness-before").await;
    let orders = [shop.order("order 1").await, shop.order("order 2").await];
    shop.process.signal(rustix::process::Signal::TERM);
    assert!(shop.process.ended(LIMIT).await.success());

    // As a new version finds it: the log holds something, and the read model is not there.
    let pool = site.database.pool();
    sqlx::raw_sql("DROP SCHEMA orders_v4 CASCADE; DELETE FROM projections.generations WHERE model = 'orders_v4'")
        .execute(&pool)
        .await
        .unwrap();

    let api = site.serve("readiness-api", &["api"]);
    listening(&api).await;
    let client = Client::new(api.url(""));
    let (status, part) = readiness(&client).await.unwrap();
    assert_eq!((status, &part["ok"]), (StatusCode::SERVICE_UNAVAILABLE, &false.into()), "{part}");
    let error =
        "orders_v4 is being made: 0 %, nobody works on it: start a process with the role projector";
    assert_eq!((&part["vital"], &part["error"]), (&true.into(), &error.into()));
    let (status, problem) = client.get("/v1/orders").await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"in-the-making".into())
    );
    let (status, _) = client.get("/v1/products").await;
    assert_eq!(status, StatusCode::OK, "what is there answers");
    let why = site.run(&["why", "orders"]).ok();
    assert!(
        why.starts_with("orders is not live yet\n") && why.contains("nobody works on"),
        "{why}"
    );
    let list = site.run(&["projections", "list"]).ok();
    assert!(list.contains("not live yet\n") && list.contains("nobody works on it"), "{list}");

    // Paused it is not made either; then it is, by whoever has the role, without being asked.
    let pause = ["projections", "pause", "orders", "--rebuild"];
    assert_eq!(site.run(&pause).code, 0);
    let mut serving = site.serve("readiness-serve", &[]);
    listening(&serving).await;
    let client = Client::new(serving.url(""));
    eventually(LIMIT, "the process to say that it rests", async || {
        let (status, part) = readiness(&client).await?;
        let error = part["error"].as_str().unwrap_or_default();
        let is_paused = error.contains(" %, paused: `annals projections resume orders --rebuild`");
        if is_paused && status == StatusCode::SERVICE_UNAVAILABLE {
            Ok(())
        } else {
            Err(part.to_string())
        }
    })
    .await;
    assert_eq!(client.get("/v1/orders").await.1["code"], "in-the-making");
    assert_eq!(site.run(&["projections", "resume", "orders", "--rebuild"]).code, 0);
    serving.ready().await;
    let (status, part) = readiness(&Client::new(api.url(""))).await.unwrap();
    assert_eq!((status, &part["ok"]), (StatusCode::OK, &true.into()), "so is the other process");
    for order in &orders {
        let (status, order) = client.get(&format!("/v1/orders/{order}")).await;
        assert_eq!((status, &order["status"]), (StatusCode::OK, &"confirmed".into()));
    }
    assert_eq!(site.run(&["projections", "verify", "orders"]).code, 0);
}
