//! What a relay really publishes, judged by who knows only the committed contract.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use eventstore::{
    Append, CommandId, EventStore, EventType, ExpectedVersion, Fingerprint, Metadata, NewEvent,
    StreamId,
};
use serde_json::json;
use testkit::{TestBroker, TestDatabase, eventually};
use uuid::Uuid;

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

    // One order that can be fulfilled and one that cannot: every type of message of the shop.
    let product = client.list_product("MUG-1", 10).await;
    client.place_order("fits", &[(product.clone(), 2)]).await;
    client.place_order("too-much", &[(product.clone(), 20)]).await;
    client.reprice_product(&product, 300).await;
    append_identity(&database).await;
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

/// Appends every event of identity and organizations that the public is told of, as the golden files have it: many of
/// them take mail that was read.
async fn append_identity(database: &TestDatabase) {
    let store = EventStore::open(database.pool()).await.unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../domain/tests/golden/events");
    for (number, known) in (1_u128..).zip(domain::Event::types()) {
        let payload = std::fs::read_to_string(golden.join(format!("{known}.json"))).unwrap();
        let event = domain::Event::decode(known.name, known.version, &payload).unwrap();
        let (domain::Event::Identity(_) | domain::Event::Organizations(_)) = event else {
            continue;
        };
        let Some(message) = domain::Message::of(&event) else { continue };
        let (id, stream) = (Uuid::from_u128(number), StreamId::new(event.stream().to_string()));
        let stream = stream.unwrap();
        let metadata = Metadata {
            actor: "test".to_owned(),
            tenant: None,
            correlation_id: id,
            causation_id: None,
            trace: None,
        };
        let told = NewEvent {
            subject: Some(message.payload_type().to_string()),
            ..NewEvent::new(stream.clone(), EventType::new(known.name, known.version), payload)
        };
        let append = Append {
            expectations: vec![(stream, ExpectedVersion::Any)],
            events: vec![told],
            ..Append::new(CommandId::new(id), Fingerprint::of(b""), metadata)
        };
        store.append(append).await.unwrap();
    }
}
