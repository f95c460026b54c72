//! One connection of a consumer: reads the stream without a gap until something interrupts it.
//!
//! First what the broker has given out and nobody acknowledged, from the stream itself; then what
//! it gives out now. Every delivery to the consumer counts by one: if a number is missing, another
//! copy got that message, and this one begins again. So the messages of a key are seen in the order
//! of the stream, whatever was delivered to whom.

use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::AckKind;
use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull::{Config, Stream as Messages};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, Info, PullConsumer};
use async_nats::jetstream::context::{ConsumerInfoErrorKind, ContextBuilder};
use async_nats::jetstream::stream::Stream;
use chrono::{DateTime, Utc};
use futures_util::StreamExt as _;
use tokio::sync::mpsc::UnboundedReceiver;

use super::ConsumerConfig;
use super::delivery::{Delivery, Origin, Reply};
use super::in_hand::InHand;
use crate::broker::{ANSWER, Connection, chain};
use crate::{Broker, IncomingMessage, Namespace, declared};

/// How long one request for messages stays open.
const PULL: Duration = Duration::from_secs(30);

/// How often the broker shows that it has not forgotten a request.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Most messages that are read from the stream at once to catch up.
const CATCH_UP: usize = 500;

/// The session is over, for this reason.
#[derive(Debug)]
pub(super) struct Interrupted(pub(super) String);

fn interrupted(what: &str, error: &dyn std::error::Error) -> Interrupted {
    Interrupted(format!("{what}: {}", chain(error)))
}

/// One connection, and the durable consumer on it.
pub(super) struct Session {
    pub(super) connection: Connection,
    stream: Stream,
    consumer: PullConsumer,
    /// What the stream is called, and when it was made.
    made: String,
}

impl Session {
    /// Connects, and makes the durable consumer if it is missing. One that has other settings than
    /// `config` is used as it is.
    pub(super) async fn open(
        broker: &Broker,
        config: &ConsumerConfig,
    ) -> Result<Self, Interrupted> {
        let connection = broker
            .connect(&config.name)
            .await
            .map_err(|error| interrupted(&format!("no connection to {broker}"), &error))?;
        let context = ContextBuilder::new().timeout(ANSWER).build(connection.client.clone());
        let stream_name = config.namespace.stream_name();
        let stream = context
            .get_stream(&stream_name)
            .await
            .map_err(|error| interrupted(&format!("stream {stream_name}"), &error))?;
        match stream.consumer_info(&config.name).await {
            Ok(info) => warn_of_drift(config, &info),
            Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => {
                let made = stream.create_consumer(declared::consumer(config)).await;
                made.map_err(|error| interrupted("make the durable consumer", &error))?;
            }
            Err(error) => return Err(interrupted("look for the durable consumer", &error)),
        }
        let consumer = stream
            .get_consumer(&config.name)
            .await
            .map_err(|error| interrupted("look for the durable consumer", &*error))?;
        let made = format!("{stream_name} {}", stream.cached_info().created);
        Ok(Self { connection, stream, consumer, made })
    }

    /// What the broker has given out, and what of it was acknowledged.
    pub(super) async fn info(&self) -> Result<Info, Interrupted> {
        let info = self.consumer.get_info().await;
        info.map_err(|error| interrupted("look at the durable consumer", &error))
    }

    /// What the broker gives out from now on.
    pub(super) async fn pull(&self, config: &ConsumerConfig) -> Result<Messages, Interrupted> {
        let pulled = self
            .consumer
            .stream()
            .max_messages_per_batch(config.in_flight.get().into())
            .expires(PULL)
            .heartbeat(HEARTBEAT)
            .messages();
        pulled.await.map_err(|error| interrupted("pull", &error))
    }

    /// The messages that were given out, from the first one on that was not acknowledged.
    pub(super) async fn given_out(&self, info: &Info) -> Result<GivenOut, Interrupted> {
        // Under one name, so that nobody needs the right to make consumers of any name.
        let name = catch_up_name(&info.name);
        if let Err(error) = self.stream.delete_consumer(&name).await {
            tracing::debug!(error = %error, "nobody was catching up");
        }
        let made = self.stream.create_consumer(Config {
            name: Some(name),
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: info.ack_floor.stream_sequence + 1,
            },
            ack_policy: AckPolicy::None,
            filter_subjects: info.config.filter_subjects.clone(),
            filter_subject: info.config.filter_subject.clone(),
            inactive_threshold: 2 * PULL,
            memory_storage: true,
            num_replicas: 1,
            ..Config::default()
        });
        let consumer = made.await.map_err(|error| interrupted("catch up", &error))?;
        Ok(GivenOut { consumer, end: info.delivered.stream_sequence, expected: 1, is_over: false })
    }

    /// `message` as it is in the stream.
    pub(super) fn read(
        &self,
        namespace: &Namespace,
        message: Message,
        reply: Option<Reply>,
        key_of: impl Fn(&IncomingMessage) -> String,
    ) -> Result<Delivery, Interrupted> {
        let info = info_of(&message)?;
        let origin =
            Origin { stream: &self.made, sequence: info.sequence, published: info.published };
        Ok(Delivery::read(namespace, message.message, origin, reply, key_of))
    }

    /// Tells the broker what is settled.
    pub(super) fn acknowledger(&self) -> Acknowledger {
        Acknowledger { client: self.connection.client.clone() }
    }
}

/// The short-lived consumer with which a copy of `consumer` reads what was given out before.
pub(crate) fn catch_up_name(consumer: &str) -> String {
    format!("{consumer}-catch-up")
}

/// A reading of messages that were given out.
pub(super) struct GivenOut {
    consumer: PullConsumer,
    /// The sequence of the last one.
    end: u64,
    /// The number of the next delivery to the reader.
    expected: u64,
    is_over: bool,
}

impl GivenOut {
    /// The next ones, at most [`CATCH_UP`]; none after the last.
    pub(super) async fn next(&mut self) -> Result<Vec<Message>, Interrupted> {
        let mut messages = Vec::new();
        if self.is_over {
            return Ok(messages);
        }
        self.is_over = true;
        let batch = self.consumer.fetch().max_messages(CATCH_UP).expires(ANSWER).messages().await;
        let mut batch = batch.map_err(|error| interrupted("catch up", &error))?;
        while let Some(message) = batch.next().await {
            let message = message.map_err(|error| interrupted("catch up", &*error))?;
            let told = info_of(&message)?;
            if told.number != self.expected {
                let (number, expected) = (told.number, self.expected);
                return Err(Interrupted(format!("caught up with {number}, not {expected}")));
            }
            self.expected += 1;
            self.is_over = told.sequence >= self.end || told.pending == 0;
            if told.sequence <= self.end {
                messages.push(message);
            }
        }
        Ok(messages)
    }
}

/// Tells the broker what is settled.
#[derive(Debug, Clone)]
pub(super) struct Acknowledger {
    client: Client,
}

impl Acknowledger {
    /// Tells the broker what comes from `settled`, until nothing more can come.
    pub(super) async fn run(
        &self,
        mut settled: UnboundedReceiver<Vec<Reply>>,
        in_hand: &InHand,
    ) -> Result<(), Interrupted> {
        while let Some(mut replies) = settled.recv().await {
            while let Ok(more) = settled.try_recv() {
                replies.extend(more);
            }
            self.confirm(&replies).await?;
            in_hand.settle(&replies);
        }
        Ok(())
    }

    /// Acknowledges `replies`, and waits until the broker knows: it handles what one connection
    /// sends in order, so the answer to the last one tells.
    async fn confirm(&self, replies: &[Reply]) -> Result<(), Interrupted> {
        let Some((last, others)) = replies.split_last() else { return Ok(()) };
        for reply in others {
            let sent = self.client.publish(reply.subject.clone(), AckKind::Ack.into()).await;
            sent.map_err(|error| interrupted("acknowledge", &error))?;
        }
        let confirmed = self.client.request(last.subject.clone(), AckKind::Ack.into()).await;
        confirmed.map(drop).map_err(|error| interrupted("acknowledge", &error))
    }
}

/// What the broker says about a delivery.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told {
    /// Counts deliveries to the consumer.
    pub(super) number: u64,
    /// Of the message, in the stream.
    pub(super) sequence: u64,
    /// How many messages the consumer has yet to get.
    pub(super) pending: u64,
    /// When the message came into the stream.
    pub(super) published: DateTime<Utc>,
}

pub(super) fn info_of(message: &Message) -> Result<Told, Interrupted> {
    let info = message.info().map_err(|error| interrupted("read a delivery", &*error))?;
    let nanos = i64::try_from(info.published.unix_timestamp_nanos()).unwrap_or(i64::MAX);
    Ok(Told {
        number: info.consumer_sequence,
        sequence: info.stream_sequence,
        pending: info.pending,
        published: DateTime::from_timestamp_nanos(nanos),
    })
}

/// An operator may have reasons; what differs is said, not changed.
fn warn_of_drift(config: &ConsumerConfig, found: &Info) {
    for difference in declared::consumer_differences(&found.config, &declared::consumer(config)) {
        tracing::warn!(
            consumer.name = %config.name, %difference,
            "the durable consumer is not as declared, and is left as it is: see `annals relay plan`"
        );
    }
}
