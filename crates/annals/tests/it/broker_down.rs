//! Commands never wait for the broker.

use std::time::Duration;

use testkit::{Nats, TestBroker, TestDatabase, eventually};

use crate::support::{Client, MIGRATOR, Process, free_address, trusting};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_accepted_while_the_broker_is_down_and_take_their_way_when_it_is_back() {
    let mut nats = Nats::start_ephemeral().unwrap();
    let broker = TestBroker::on(&nats);
    nats.halt().unwrap();
    let database = TestDatabase::create(&MIGRATOR).await;
    let mut command = trusting(&["serve"]);
    command
        .env("DATABASE_URL", database.url())
        .env("NATS_URL", &broker.url)
        .env("ANNALS_NATS__NAMESPACE", &broker.namespace);
    let mut process = Process::spawn("broker-down", command, free_address());
    process.ready().await;
    let client = Client::new(process.url(""));

    let product = client.list_product("SKU-1", 5).await;
    let order = client.place_order("order 1", &[(product, 2)]).await;
    let path = format!("/v1/orders/{order}");
    let shown = eventually(Duration::from_secs(20), "the order to be seen", async || match client
        .get(&path)
        .await
    {
        (status, order) if status.is_success() => Ok(order),
        (_, problem) => Err(problem),
    })
    .await;
    assert_eq!(shown["status"], "placed");
    let (status, readiness) = client.get("/readyz").await;
    assert!(status.is_success(), "commands are taken: {readiness}");
    let parts = readiness["parts"].as_array().unwrap();
    let relay = parts.iter().find(|part| part["name"] == "relay").unwrap();
    assert_eq!(relay["ok"], false, "but the trouble is shown: {readiness}");

    tokio::task::block_in_place(|| nats.restart().unwrap());
    eventually(Duration::from_mins(1), "the order to be confirmed", async || {
        let (_, order) = client.get(&path).await;
        if order["status"] == "confirmed" { Ok(()) } else { Err(order) }
    })
    .await;
}
