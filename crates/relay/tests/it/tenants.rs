//! Whose organization an event belongs to: said by its message however often it is sent, and handed
//! to who consumes it.

use std::sync::{Arc, Mutex};

use async_nats::jetstream::message::StreamMessage;
use async_nats::{HeaderMap, HeaderValue};
use eventstore::Metadata;
use relay::{Consumer, ConsumerConfig, Handler, HandlerError, IncomingMessage};
use sqlx::PgConnection;
use testkit::eventually;
use uuid::Uuid;

use crate::world::{LIMIT, Running, SUBJECT, World};

/// Remembers whose messages it was handed.
#[derive(Clone, Default)]
struct Witness(Arc<Mutex<Vec<Option<Uuid>>>>);

impl Handler for Witness {
    async fn handle(
        &self,
        _: &mut PgConnection,
        messages: &[&IncomingMessage],
    ) -> Result<(), HandlerError> {
        self.0.lock().unwrap().extend(messages.iter().map(|message| message.tenant));
        Ok(())
    }
}

fn told(messages: &[StreamMessage]) -> Vec<Option<&str>> {
    let tenant = |headers| HeaderMap::get(headers, "ce-tenant").map(HeaderValue::as_str);
    messages.iter().map(|message| tenant(&message.headers)).collect()
}

#[tokio::test]
async fn a_message_says_it_live_published_again_and_replayed() {
    let world = World::new().await;
    let tenant = Uuid::from_u128(0x7e);
    for tenant in [Some(tenant), None] {
        world.append_with(&[Some(SUBJECT)], Metadata { tenant, ..world.metadata() }).await;
    }
    let publisher = world.publisher();
    world.complete().await;
    let live = world.messages().await;
    let text = tenant.to_string();
    let expected = [Some(text.as_str()), None];
    assert_eq!(told(&live), expected);

    let witness = Witness::default();
    let config = ConsumerConfig::new("witness", world.namespace.clone(), [SUBJECT]);
    let consumer = Consumer::new(world.pool(), world.url.parse().unwrap(), config, witness.clone());
    let consumer = Running::start(consumer.state(), |stop| consumer.run(stop));
    eventually(LIMIT, "both to be handed over", || async {
        let handed = witness.0.lock().unwrap().clone();
        if handed == [Some(tenant), None] { Ok(()) } else { Err(handed) }
    })
    .await;
    consumer.stop().await;
    publisher.stop().await;

    let replayed = world.replay(&world.request()).await.unwrap();
    let stream = world.context().await.get_stream(&replayed.stream).await.unwrap();
    let mut again = Vec::new();
    for sequence in 1..=2 {
        again.push(stream.get_raw_message(sequence).await.unwrap());
    }
    assert_eq!(told(&again), expected);

    // The broker lost everything.
    let name = world.namespace.stream_name();
    world.context().await.delete_stream(name).await.unwrap();
    let publisher = world.publisher();
    world.complete().await;
    assert_eq!(told(&world.messages().await), expected);
    publisher.stop().await;
}
