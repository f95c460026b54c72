//! What a relay really publishes, judged by who knows only the committed contract.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use testkit::{TestBroker, TestDatabase, eventually};

use crate::support::{Client, MIGRATOR, Process, Questions, Subscriber, free_address, trusting};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_published_message_is_what_the_contract_says() {
    let database = TestDatabase::create(&MIGRATOR).await;
    let broker = TestBroker::shared();
    let mut command = trusting(&["serve"]);
    command
        .env("DATABASE_URL", database.url())
        .env("NATS_URL", &broker.url)
        .env("ANNALS_NATS__NAMESPACE", &broker.namespace);
    let mut process = Process::spawn("contract", command, free_address());
    process.ready().await;
    let client = Client::new(process.url(""));

    // One order that can be fulfilled and one that cannot: every type of message there is.
    let product = client.list_product("MUG-1", 10).await;
    client.place_order("fits", &[(product.clone(), 2)]).await;
    client.place_order("too-much", &[(product.clone(), 20)]).await;
    client.reprice_product(&product, 300).await;
    let subscriber = Subscriber::start(&broker);
    let expected: BTreeSet<_> =
        domain::Message::types().map(|message| format!("{}.{message}", broker.namespace)).collect();
    let received = eventually(Duration::from_mins(1), "a message of every type", async || {
        let received = subscriber.received();
        let subjects: BTreeSet<_> =
            received.iter().map(|message| message.subject.clone()).collect();
        if subjects == expected { Ok(received) } else { Err(subjects) }
    })
    .await;

    let mut questions = Questions::default();
    for message in &received {
        // A reader finds the schema by what the message itself says.
        questions.ask(&message.headers["ce-dataschema"], &message.data);
        let name = message.subject.split_once('.').unwrap().1;
        let pointer = format!("urn:asyncapi#/components/messages/{name}/headers");
        questions.ask(&pointer, &json!(message.headers));
        let mut nameless = message.headers.clone();
        nameless.remove("ce-id");
        questions.ask(&pointer, &json!(nameless));
    }
    let answers = questions.answers();
    for (message, answers) in received.iter().zip(answers.chunks(3)) {
        let [data, headers, nameless] = answers else { panic!("three answers: {answers:?}") };
        assert!(data.is_empty(), "{data:?} in {:?}", message.data);
        assert!(headers.is_empty(), "{headers:?} in {:?}", message.headers);
        assert_eq!(nameless.as_slice(), ["$: 'ce-id' is a required property"]);
    }
}
