//! The operator's side of the relay: what is typed, what it answers, what it ends with.

use std::time::Duration;

use async_nats::jetstream::{self, stream::Stream};
use serde_json::json;
use testkit::eventually;

use crate::support::{Answer, Client, Process, Site, free_address};

const LIMIT: Duration = Duration::from_mins(1);

impl Site {
    /// What `annals relay` answers, and what it ends with.
    fn relay(&self, arguments: &[&str]) -> (i32, String) {
        let arguments = [&["relay"], arguments].concat();
        let Answer { code, out, err } = self.run(&arguments);
        (code, out + &err)
    }

    async fn stream(&self) -> Stream {
        let context = jetstream::new(async_nats::connect(&self.broker.url).await.unwrap());
        context.get_stream(self.broker.namespace.to_uppercase()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_what_is_not_right_and_brings_it_into_line() {
    let site = Site::new().await;
    let (code, plan) = site.relay(&["plan"]);
    assert_eq!(code, 2, "nothing is there: {plan}");
    assert!(plan.contains("is missing") && plan.contains("annals relay apply"), "{plan}");
    let (code, text) = site.relay(&["verify"]);
    assert!(code == 1 && text.contains("the broker has no stream"), "{text}");
    let (code, done) = site.relay(&["apply"]);
    assert!(code == 0 && done.contains("now all is as declared"), "{done}");

    let mut process = Process::spawn("relay-operator", site.command(&["serve"]), free_address());
    process.ready().await;
    let client = Client::new(process.url(""));
    let product = client.list_product("SKU-1", 5).await;
    let order = client.place_order("order 1", &[(product.clone(), 2)]).await;
    let path = format!("/v1/orders/{order}");
    eventually(LIMIT, "the order to be confirmed", async || {
        let (_, order) = client.get(&path).await;
        if order["status"] == "confirmed" { Ok(()) } else { Err(order) }
    })
    .await;
    let (code, plan) = site.relay(&["plan"]);
    assert_eq!(code, 0, "workers read what is declared: {plan}");
    let (code, text) = eventually(LIMIT, "all to be published", async || {
        let (code, text) = site.relay(&["verify"]);
        if text.contains("4 messages in order") { Ok((code, text)) } else { Err(text) }
    })
    .await;
    assert!(code == 0 && text.starts_with("no gap, no duplicate, no reorder"), "{text}");
    eventually(LIMIT, "the proof of the relay", async || {
        let url = process.url("/metrics");
        let metrics = reqwest::get(url).await.unwrap().text().await.unwrap();
        let proved = ["annals_relay_differences_total{kind=\"missing\"} 0"];
        if proved.iter().all(|line| metrics.contains(line))
            && !metrics.contains("annals_relay_verified_position 0")
            && metrics.contains("annals_relay_verified_position")
        {
            Ok(())
        } else {
            Err(metrics)
        }
    })
    .await;

    let (code, text) = site.relay(&["replay", "--to", &site.broker.namespace, "--after", "0"]);
    assert!(code == 1 && text.contains("a subject of the subscriber's own"), "{text}");
    let own = format!("replay-{}.billing", site.broker.namespace);
    let unknown = site.relay(&["replay", "--to", &own, "--after", "0", "--type", "x"]);
    assert!(unknown.0 == 1 && unknown.1.contains("ordering.order-placed.v1"), "{unknown:?}");
    assert_eq!(site.relay(&["replay", "--to", &own]).0, 2, "from where on");
    let since = ["replay", "--to", &own, "--since", "2020-01-01T00:00:00Z"];
    let (code, text) = site.relay(&[&since[..], &["--type", "ordering.order-placed"]].concat());
    assert!(code == 0 && text.contains(": 1 messages and a last one on"), "{text}");

    let stream = site.stream().await;
    let mut changed = stream.cached_info().config.clone();
    changed.max_messages = 1_000;
    let context = jetstream::new(async_nats::connect(&site.broker.url).await.unwrap());
    context.update_stream(&changed).await.unwrap();
    let (code, plan) = site.relay(&["plan"]);
    assert!(code == 2 && plan.contains("max_msgs: 1000 -> unlimited"), "{plan}");
    assert_eq!(site.relay(&["apply"]).0, 0);
    let (code, plan) = site.relay(&["plan"]);
    assert_eq!(code, 0, "{plan}");

    stream.delete_message(2).await.unwrap();
    let (code, text) = site.relay(&["verify"]);
    assert!(code == 1 && text.starts_with("missing: "), "{text}");
    let (code, text) = site.relay(&["verify", "--after", "0", "--to", "1"]);
    assert!(code == 0 && text.contains("1 messages in order"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_told_is_refused_at_the_command() {
    let site = Site::new().await;
    let mut command = site.command(&["serve"]);
    command.env("ANNALS_NATS__MAX_MESSAGE_BYTES", (4 * 1024 + 330).to_string());
    let mut process = Process::spawn("message-limit", command, free_address());
    process.ready().await;
    let client = Client::new(process.url(""));
    let (mug, cup) = (client.list_product("SKU-1", 5).await, client.list_product("SKU-2", 5).await);
    client.place_order("small", &[(mug.clone(), 1)]).await;
    let lines = [&mug, &cup].map(|id| json!({ "product_id": id, "quantity": 1 }));
    let answer = client.post("/v1/orders", "large", &json!({ "lines": lines })).await;
    assert_eq!(answer.status(), 413);
    let problem: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(problem["code"], "message-too-large", "{problem}");
}
