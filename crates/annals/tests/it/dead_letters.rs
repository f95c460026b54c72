//! The operator's way with messages that failed: list, show, retry, discard.

use std::time::Duration;

use async_nats::HeaderMap;
use serde_json::Value;
use testkit::{TestBroker, TestDatabase, eventually};

use crate::command_line::{refusal, run};
use crate::support::{Client, MIGRATOR, Process, free_address, trusting};

const LIMIT: Duration = Duration::from_secs(40);

fn text(output: &std::process::Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn letters(url: &str, arguments: &[&str]) -> Vec<Value> {
    let list = [&["dead-letters", "list", "--json"], arguments].concat();
    text(&run(&list, url)).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_lists_shows_retries_and_discards() {
    let database = TestDatabase::create(&MIGRATOR).await;
    let broker = TestBroker::shared();
    let mut command = trusting(&["serve"]);
    command
        .env("DATABASE_URL", database.url())
        .env("NATS_URL", &broker.url)
        .env("ANNALS_NATS__NAMESPACE", &broker.namespace);
    let mut process = Process::spawn("dead-letters", command, free_address());
    process.ready().await;
    assert!(letters(database.url(), &[]).is_empty());
    let client = Client::new(process.url(""));
    client.list_product("SKU-1", 5).await;

    // Two consumers read orders; the first of them is `inventory`. Somebody publishes what is none.
    let nats = async_nats::jetstream::new(async_nats::connect(&broker.url).await.unwrap());
    let subject = format!("{}.ordering.order-placed.v1", broker.namespace);
    eventually(LIMIT, "a stream", async || {
        let mut headers = HeaderMap::new();
        headers.insert("ce-specversion", "0.3");
        let sent = nats.publish_with_headers(subject.clone(), headers, "no order".into()).await;
        let stored = sent.map_err(|error| error.to_string())?.await;
        stored.map(drop).map_err(|error| error.to_string())
    })
    .await;
    let found = eventually(LIMIT, "a dead letter", async || {
        let found = letters(database.url(), &["--state", "dead"]);
        if found.is_empty() { Err(found) } else { Ok(found) }
    })
    .await;
    let [letter] = found.as_slice() else { panic!("one: {found:?}") };
    let consumer = letter["consumer"].as_str().unwrap();
    assert_eq!(letter["error"], "header ce-specversion is \"0.3\"");
    let id = letter["id"].to_string();
    let list = text(&run(&["dead-letters", "list"], database.url()));
    assert!(list.lines().count() == 2 && list.contains("unreadable"), "{list}");
    let shown = text(&run(&["dead-letters", "show", &id], database.url()));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!((&shown["body"], &shown["subject"]), (&"no order".into(), &subject.into()));
    assert_eq!(shown["headers"]["ce-specversion"], serde_json::json!(["0.3"]));
    assert!(letters(database.url(), &["--consumer", "nobody"]).is_empty());

    // It is still no order: the running consumer tries it and holds it again.
    let retried = text(&run(&["dead-letters", "retry", &id, "--by", "ada"], database.url()));
    assert!(retried.contains("is tried again now"), "{retried}");
    let tried_at = &shown["last_attempt_at"];
    eventually(LIMIT, "another attempt", async || {
        let found = letters(database.url(), &["--state", "dead"]);
        let is_tried = found.iter().any(|letter| letter["last_attempt_at"] != *tried_at);
        if is_tried { Ok(()) } else { Err(found) }
    })
    .await;
    text(&run(&["dead-letters", "retry", "--all", "--consumer", consumer], database.url()));
    eventually(LIMIT, "the next one", async || {
        let found = letters(database.url(), &["--state", "dead"]);
        if found.is_empty() { Err(found) } else { Ok(()) }
    })
    .await;
    let metrics = client.text("/metrics").await;
    let gauge = format!(r#"annals_dead_letters{{consumer="{consumer}",state="dead"}} 1"#);
    assert!(metrics.contains(&gauge), "{metrics}");

    let reasonless = run(&["dead-letters", "discard", &id, "--reason", " "], database.url());
    assert!(refusal(&reasonless).contains("say why with --reason"));
    text(&run(&["dead-letters", "discard", &id, "--reason", "a stranger's"], database.url()));
    assert!(letters(database.url(), &[]).is_empty());
    let gone = run(&["dead-letters", "discard", &id, "--reason", "again"], database.url());
    assert!(refusal(&gone).contains(&format!("there is no dead letter {id}")));
    let record: Vec<(String, String, Option<String>)> =
        sqlx::query_as("SELECT actor, action, reason FROM relay.interventions ORDER BY id")
            .fetch_all(&database.pool())
            .await
            .unwrap();
    let entry = |actor: &str, action: &str, reason: Option<&str>| {
        (actor.to_owned(), action.to_owned(), reason.map(ToOwned::to_owned))
    };
    assert_eq!(
        record,
        [
            entry("ada", "retry", None),
            entry("operator", "retry", None),
            entry("operator", "discard", Some("a stranger's")),
        ]
    );
}
