//! Reads the stream in batches, without a consumer that anybody has to remove.

use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Stream};
use eventstore::{LogId, OutboxPlace};
use futures_util::StreamExt as _;

use crate::broker::{ANSWER, BrokerError};
use crate::cloud_event::Headers;

/// Most messages of one batch.
const BATCH: usize = 500;

/// Most bytes of one batch: no message that a broker takes is larger.
const BATCH_BYTES: usize = 64 * 1024 * 1024;

/// How long the broker keeps the consumer of a reader that has gone.
const FORGOTTEN: Duration = Duration::from_mins(1);

/// A message of the stream.
pub(super) struct Stored {
    pub(super) sequence: u64,
    pub(super) message: Message,
}

/// Reads a part of the stream once.
pub(super) struct Reader {
    consumer: Option<PullConsumer>,
    /// The sequence of the last one.
    end: u64,
    /// The number of the next delivery.
    expected: u64,
}

impl Reader {
    /// Reads from the sequence `start` to `end`; under `name`, if there is one, so that nobody needs
    /// the right to make consumers of any name.
    pub(super) async fn open(
        stream: &Stream,
        name: Option<&str>,
        start: u64,
        end: u64,
    ) -> Result<Self, BrokerError> {
        if start > end {
            return Ok(Self { consumer: None, end, expected: 1 });
        }
        if let Some(name) = name
            && let Err(error) = stream.delete_consumer(name).await
        {
            tracing::debug!(%error, "nobody was reading");
        }
        let made = stream.create_consumer(Config {
            name: name.map(str::to_owned),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: start },
            ack_policy: AckPolicy::None,
            inactive_threshold: FORGOTTEN,
            memory_storage: true,
            num_replicas: 1,
            ..Config::default()
        });
        let consumer = made.await.map_err(|error| BrokerError::asked("read the stream", error))?;
        Ok(Self { consumer: Some(consumer), end, expected: 1 })
    }

    /// The next messages; none after the last.
    pub(super) async fn next(&mut self) -> Result<Vec<Stored>, BrokerError> {
        let mut messages = Vec::new();
        let Some(consumer) = &self.consumer else { return Ok(messages) };
        let fetch = consumer.fetch().max_messages(BATCH).max_bytes(BATCH_BYTES).expires(ANSWER);
        let batch = fetch.messages().await;
        let mut batch = batch.map_err(|error| BrokerError::asked("read the stream", error))?;
        let mut is_over = true;
        while let Some(message) = batch.next().await {
            let message = message.map_err(|error| BrokerError::asked("read the stream", error))?;
            let (number, sequence, pending) = {
                let info =
                    message.info().map_err(|error| BrokerError::asked("read the stream", error))?;
                (info.consumer_sequence, info.stream_sequence, info.pending)
            };
            if number != self.expected {
                return Err(BrokerError::asked("read the stream", "a message was lost on the way"));
            }
            self.expected += 1;
            is_over = sequence >= self.end || pending == 0;
            if sequence <= self.end {
                messages.push(Stored { sequence, message });
            }
        }
        if is_over {
            self.consumer = None;
        }
        Ok(messages)
    }
}

/// The last message that the stream holds, if it is one of `log`: its place and its sequence.
pub(super) async fn tail(
    stream: &Stream,
    log: LogId,
) -> Result<Option<(OutboxPlace, u64)>, BrokerError> {
    let last = match stream.get_last_raw_message_by_subject(">").await {
        Ok(last) => last,
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(None),
        Err(error) => return Err(BrokerError::asked("read the end of the stream", error)),
    };
    let headers = Headers::of(&last.headers);
    match (headers.log(), headers.place()) {
        (Ok(source), Ok(place)) if source == log => Ok(Some((place, last.sequence))),
        _ => Ok(None),
    }
}
