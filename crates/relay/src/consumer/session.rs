//! One connection of a consumer: pulls messages until something interrupts it.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::{Batch, Config};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer};
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use async_nats::jetstream::{AckKind, Message};
use async_nats::subject::Subject;
use futures_util::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;

use super::delivery::Settled;
use super::{Consumer, ConsumerConfig, ConsumerStatus, Handler};
use crate::Broker;
use crate::backoff::Backoff;
use crate::broker::{ANSWER, Connection, chain};

/// Most messages asked for at once; how many come at once is decided by `in_flight`.
const BATCH: usize = 256;

/// How long one request for messages stays open.
const PULL: Duration = Duration::from_secs(5);

/// How long a message is waited for that the broker may be sending while we stop.
const ON_ITS_WAY: Duration = Duration::from_millis(500);

/// The session is over, for this reason.
pub(super) struct Interrupted(pub(super) String);

/// One connection, and the durable consumer on it.
pub(super) struct Session {
    pub(super) connection: Connection,
    stream: Stream,
    consumer: PullConsumer,
}

impl Session {
    /// Connects, and makes the durable consumer if it is missing or has other settings.
    pub(super) async fn open(
        broker: &Broker,
        config: &ConsumerConfig,
    ) -> Result<Self, Interrupted> {
        let interrupted = |what: &str, error: &dyn std::error::Error| {
            Interrupted(format!("{what}: {}", chain(error)))
        };
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
        let consumer = stream
            .create_consumer(wanted(config))
            .await
            .map_err(|error| interrupted("make the durable consumer", &error))?;
        Ok(Self { connection, stream, consumer })
    }

    async fn pull(&self) -> Result<Batch, Interrupted> {
        let pulled = self.consumer.batch().max_messages(BATCH).expires(PULL).messages().await;
        pulled.map_err(|error| Interrupted(chain(&error)))
    }

    /// Whether somebody removed `message` from the stream after it was delivered.
    pub(super) async fn was_removed(&self, message: &Message) -> bool {
        let Ok(info) = message.info() else { return false };
        let found = self.stream.get_raw_message(info.stream_sequence).await;
        found.is_err_and(|error| error.kind() == LastRawMessageErrorKind::NoMessageFound)
    }

    /// Whether there is a message that was not acknowledged yet. If nobody answers: no.
    async fn has_more(&self) -> bool {
        let info = self.consumer.get_info().await;
        info.is_ok_and(|info| info.num_pending > 0 || info.num_ack_pending > 0)
    }

    /// Says once more that a message is done with, which the broker may not have heard. It may
    /// not know of the message any more: then nobody answers, and if it delivers it again,
    /// nothing happens.
    async fn confirm_late(&self, reply: Subject) {
        if let Err(error) = self.connection.client.publish(reply, AckKind::Ack.into()).await {
            tracing::debug!(error = %error, "could not confirm a message late");
        }
    }

    /// Tells the broker that a message is done with, and waits until it knows.
    pub(super) async fn confirm(&self, reply: &Subject) -> Result<(), Interrupted> {
        let confirmed = self.connection.client.request(reply.clone(), AckKind::Ack.into()).await;
        confirmed.map(drop).map_err(|error| Interrupted(format!("acknowledge: {}", chain(&error))))
    }

    /// Gives a message back, to be delivered again at once. If the broker does not hear it, it
    /// does so after a while.
    async fn give_back(&self, message: &Message) {
        if let Err(error) = message.ack_with(AckKind::Nak(None)).await {
            tracing::debug!(error = %error, "could not give a message back");
        }
    }
}

fn wanted(config: &ConsumerConfig) -> Config {
    let subjects = config.subjects.iter().map(|subject| config.namespace.subject(subject));
    Config {
        durable_name: Some(config.name.clone()),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: config.ack_wait,
        max_ack_pending: config.in_flight.get().into(),
        filter_subjects: subjects.collect(),
        ..Config::default()
    }
}

impl<H: Handler> Consumer<H> {
    /// Consumes until it is stopped, which is `Ok`, or interrupted.
    pub(super) async fn consume(
        &self,
        session: &Session,
        unconfirmed: &mut Option<Subject>,
        backoff: &mut Backoff,
        stop: &CancellationToken,
    ) -> Result<(), Interrupted> {
        if let Some(reply) = unconfirmed.take() {
            session.confirm_late(reply).await;
        }
        self.reporter.report(ConsumerStatus::Consuming);
        loop {
            let mut batch = session.pull().await?;
            loop {
                let next = tokio::select! {
                    biased;
                    () = stop.cancelled() => {
                        close(session, batch, None).await;
                        return Ok(());
                    }
                    () = session.connection.lost.cancelled() => {
                        return Err(Interrupted("lost the connection to the broker".to_owned()));
                    }
                    next = batch.next() => next,
                };
                let Some(message) = next else { break };
                let message = message.map_err(|error| Interrupted(format!("pull: {error}")))?;
                let settled = self.settle(session, &message, stop).await;
                if stop.is_cancelled() {
                    let unsettled = (settled == Settled::Stopped).then_some(&message);
                    close(session, batch, unsettled).await;
                    if settled == Settled::Done {
                        confirm(session, &message, unconfirmed).await?;
                    }
                    return Ok(());
                }
                confirm(session, &message, unconfirmed).await?;
                backoff.reset();
            }
        }
    }
}

async fn confirm(
    session: &Session,
    message: &Message,
    unconfirmed: &mut Option<Subject>,
) -> Result<(), Interrupted> {
    unconfirmed.clone_from(&message.reply);
    if let Some(reply) = &message.reply {
        session.confirm(reply).await?;
    }
    *unconfirmed = None;
    Ok(())
}

/// Stops the flow of messages, then gives back what came and was not settled.
///
/// The order matters: what is given back or acknowledged while the pull is open makes the broker
/// deliver the next message to it, to nobody.
async fn close(session: &Session, mut batch: Batch, unsettled: Option<&Message>) {
    let mut rest = Vec::new();
    while let Some(Some(Ok(message))) = batch.next().now_or_never() {
        rest.push(message);
    }
    if unsettled.is_none() && rest.is_empty() && session.has_more().await {
        // The next one is on its way already; nobody would know until `ack_wait` is over.
        if let Ok(Some(Ok(message))) = tokio::time::timeout(ON_ITS_WAY, batch.next()).await {
            rest.push(message);
        }
    }
    drop(batch);
    let flushed = tokio::time::timeout(ANSWER, session.connection.client.flush()).await;
    if !matches!(flushed, Ok(Ok(()))) {
        tracing::debug!("the broker did not hear that the consumer stops");
    }
    for message in unsettled.into_iter().chain(&rest) {
        session.give_back(message).await;
    }
    let _ = tokio::time::timeout(ANSWER, session.connection.client.flush()).await;
}
