//! One connection and what is believed while it lasts: the sequence the stream is at.

use std::collections::VecDeque;
use std::error::Error;
use std::future::{IntoFuture, poll_fn};
use std::task::Poll;

use async_nats::jetstream::context::{
    ContextBuilder, PublishAckFuture, PublishError, PublishErrorKind,
};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, RawMessageError, Stream};
use async_nats::jetstream::{self, Context, ErrorCode};
use eventstore::{LogId, OutboxPlace};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::resume::Tail;
use super::span::PublishSpan;
use super::trouble::Trouble;
use super::{PublisherConfig, stream};
use crate::Namespace;
use crate::broker::{ANSWER, Connection, chain};
use crate::cloud_event::{Headers, Outgoing, header};

/// Most messages that are on their way at once.
pub(super) const WINDOW: usize = 1_024;

/// With as many bytes on their way no more are sent.
const WINDOW_BYTES: usize = 8 * 1024 * 1024;

/// One connection, and what is on its way over it.
pub(super) struct Session {
    connection: Connection,
    context: Context,
    stream: Stream,
    namespace: Namespace,
    /// The stream, with everything that is confirmed.
    last_sequence: u64,
    in_flight: VecDeque<InFlight>,
    in_flight_bytes: usize,
    /// The last message that was sent here, if it was sent with its id. The sequence
    /// alone is not enough: when a foreign message takes the place of one of ours, that one is
    /// refused, and the next of ours, already on its way, would find the sequence it expects.
    last_id: Option<Uuid>,
    /// Not of a replicated stream: there a mismatch of ids stops the whole stream (2.15.1). Its
    /// gaps are found when publishing resumes.
    names_the_one_before: bool,
}

/// A message that is on its way.
struct InFlight {
    place: OutboxPlace,
    bytes: usize,
    ack: <PublishAckFuture as IntoFuture>::IntoFuture,
    span: Option<PublishSpan>,
}

/// What is refused or repeated, and what went wrong otherwise.
pub(super) enum PublishFailure {
    /// The broker remembers the id of this message, stored at this sequence, and did not store it
    /// again.
    Known {
        place: OutboxPlace,
        sequence: u64,
    },
    Trouble(Trouble),
}

/// A message of the stream that says it is ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Published {
    pub(super) id: Uuid,
    pub(super) place: OutboxPlace,
    /// Everything up to here is in the stream or held.
    pub(super) reached: OutboxPlace,
    pub(super) sequence: u64,
}

impl Session {
    /// Connects, and makes sure that there is a stream.
    pub(super) async fn open(config: &PublisherConfig) -> Result<Self, Trouble> {
        let connection = config.broker.connect("annals-relay").await.map_err(|error| {
            Trouble::Unreachable(format!("no connection to {}: {}", config.broker, chain(&error)))
        })?;
        // The window is kept here, so the client's own limit must never be what holds us back.
        let context = ContextBuilder::new()
            .timeout(ANSWER)
            .ack_timeout(ANSWER)
            .max_ack_inflight(2 * WINDOW)
            .backpressure_on_inflight(false)
            .build(connection.client.clone());
        let stream = stream::ensure(&context, config).await?;
        let last_sequence = stream.cached_info().state.last_sequence;
        let namespace = config.namespace.clone();
        let names_the_one_before = stream.cached_info().config.num_replicas <= 1;
        Ok(Self {
            connection,
            context,
            stream,
            namespace,
            last_sequence,
            in_flight: VecDeque::with_capacity(WINDOW),
            in_flight_bytes: 0,
            last_id: None,
            names_the_one_before,
        })
    }

    /// The sequence the stream is at.
    pub(super) const fn last_sequence(&self) -> u64 {
        self.last_sequence
    }

    /// The end of the stream, and the message it was read from.
    pub(super) async fn tail(&mut self, log: LogId) -> Result<(Tail, Option<Published>), Trouble> {
        if self.last_sequence == 0 {
            return Ok((Tail::Empty, None));
        }
        // Not a direct get: a replica that lags might answer that.
        if let Some(last) = found(self.stream.get_raw_message(self.last_sequence).await)? {
            let published = ours(&last, log)?;
            return Ok((Tail::At(published.reached), Some(published)));
        }
        let subjects = self.namespace.all_subjects();
        let left = found(self.stream.get_last_raw_message_by_subject(&subjects).await)?;
        let published = left.map(|message| ours(&message, log)).transpose()?;
        Ok((Tail::Removed(published.map(|message| message.reached)), published))
    }

    /// The first sequence at which the messages `ids` of `log`, the last of them at `end`, should be
    /// and something else is, or nothing any more. Between them may be late ones. What was purged
    /// from the front is not missed.
    pub(super) async fn first_stranger(
        &mut self,
        log: LogId,
        end: u64,
        ids: &[Uuid],
    ) -> Result<Option<u64>, Trouble> {
        let first_kept = self.stream.cached_info().state.first_sequence;
        let (mut stranger, mut ids) = (None, ids.iter().rev());
        let mut id = ids.next();
        let mut sequence = end;
        while let Some(expected) = id
            && sequence >= first_kept.max(1)
        {
            let stored = found(self.stream.get_raw_message(sequence).await)?;
            let headers = stored.as_ref().map(|message| Headers::of(&message.headers));
            if !headers.as_ref().is_some_and(|it| it.is_late() && it.log() == Ok(log)) {
                if !headers.is_some_and(|it| it.id() == Ok(*expected)) {
                    stranger = Some(sequence);
                }
                id = ids.next();
            }
            sequence -= 1;
        }
        Ok(stranger)
    }

    /// Whether the message at `sequence` has this `id`.
    pub(super) async fn holds(&mut self, sequence: u64, id: Uuid) -> Result<bool, Trouble> {
        if sequence == 0 || sequence > self.last_sequence {
            return Ok(false);
        }
        let stored = found(self.stream.get_raw_message(sequence).await)?;
        Ok(stored.is_some_and(|message| Headers::of(&message.headers).id() == Ok(id)))
    }

    /// Whether another message may be sent.
    pub(super) fn has_room(&self) -> bool {
        self.in_flight.len() < WINDOW && self.in_flight_bytes < WINDOW_BYTES
    }

    /// Whether everything that was sent is confirmed.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Sends `message`, with its id unless it is one of those up to `known`; does not wait for the
    /// answer, which [`Session::confirmed`] gives.
    pub(super) async fn send(
        &mut self,
        message: Outgoing,
        known: OutboxPlace,
    ) -> Result<(), Trouble> {
        let span = PublishSpan::begin(&message);
        let Outgoing { id, place, subject, mut headers, body, .. } = message;
        if let Some(span) = &span {
            headers.insert(header::TRACE_PARENT, span.traceparent());
        }
        let id = (place > known).then_some(id);
        let bytes = body.len();
        let mut publish = PublishMessage::build()
            .payload(body)
            .headers(headers)
            .expected_stream(self.stream.cached_info().config.name.as_str())
            .expected_last_sequence(self.last_sequence + self.in_flight.len() as u64);
        if let Some(id) = id {
            publish = publish.message_id(id.to_string());
        }
        if let (Some(before), true) = (self.last_id, self.names_the_one_before) {
            publish = publish.expected_last_message_id(before.to_string());
        }
        let sent = self.context.send_publish(subject, publish).await;
        let ack = sent.map_err(|error| of_publish(place, &error))?.into_future();
        self.in_flight.push_back(InFlight { place, bytes, ack, span });
        self.in_flight_bytes += bytes;
        self.last_id = id;
        Ok(())
    }

    /// Waits until the oldest message on its way is stored, then takes what else is by now;
    /// answers with how many there are. Never, if nothing is on its way.
    pub(super) async fn confirmed(&mut self) -> Result<usize, PublishFailure> {
        poll_fn(|context| {
            let mut confirmed = 0;
            while let Some(oldest) = self.in_flight.front_mut() {
                let Poll::Ready(ack) = oldest.ack.as_mut().poll(context) else { break };
                let (place, bytes) = (oldest.place, oldest.bytes);
                let ack = match ack {
                    Ok(ack) => ack,
                    Err(error) => {
                        let trouble = of_publish(place, &error);
                        return Poll::Ready(Err(PublishFailure::Trouble(trouble)));
                    }
                };
                let sequence = self.last_sequence + 1;
                if ack.duplicate {
                    let sequence = ack.sequence;
                    return Poll::Ready(Err(PublishFailure::Known { place, sequence }));
                }
                if ack.sequence != sequence {
                    let (position, stored) = (place.position(), ack.sequence);
                    let doubt =
                        format!("position {position} was stored at {stored}, not at {sequence}");
                    return Poll::Ready(Err(PublishFailure::Trouble(Trouble::Doubt(doubt))));
                }
                let arrived = self.in_flight.pop_front();
                if let Some(span) = arrived.and_then(|arrived| arrived.span) {
                    span.confirmed(sequence);
                }
                self.in_flight_bytes -= bytes;
                self.last_sequence = sequence;
                confirmed += 1;
            }
            if confirmed > 0 { Poll::Ready(Ok(confirmed)) } else { Poll::Pending }
        })
        .await
    }

    /// Whether the stream is still where it was left; it may have been made again.
    pub(super) async fn check(&mut self) -> Result<(), Trouble> {
        let info = self.stream.get_info().await.map_err(|error| Trouble::Doubt(chain(&error)))?;
        let sequence = info.state.last_sequence;
        if sequence != self.last_sequence {
            let expected = self.last_sequence;
            return Err(Trouble::Doubt(format!("the stream is at {sequence}, not at {expected}")));
        }
        if info.created != self.stream.cached_info().created {
            return Err(Trouble::Doubt("the stream was made again".to_owned()));
        }
        Ok(())
    }

    /// Cancelled when the connection is lost.
    pub(super) fn lost(&self) -> CancellationToken {
        self.connection.lost.clone()
    }

    /// What it means that it is lost.
    pub(super) fn connection_lost() -> Trouble {
        Trouble::Doubt("lost the connection to the broker".to_owned())
    }
}

fn found(got: Result<StreamMessage, RawMessageError>) -> Result<Option<StreamMessage>, Trouble> {
    match got {
        Ok(message) => Ok(Some(message)),
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
        Err(error) => Err(Trouble::Unreachable(chain(&error))),
    }
}

/// What `message` says of itself, if this log wrote it.
fn ours(message: &StreamMessage, log: LogId) -> Result<Published, Trouble> {
    let headers = Headers::of(&message.headers);
    let published = headers.log().and_then(|source| {
        let (id, place, reached) = (headers.id()?, headers.place()?, headers.reached()?);
        Ok((source, Published { id, place, reached, sequence: message.sequence }))
    });
    let foreign = |what: String| {
        let (sequence, subject) = (message.sequence, &message.subject);
        Trouble::Refused(format!(
            "message {sequence} of the stream, on {subject}, was not written by this relay: {what}; \
             find who writes there, stop it and delete the message"
        ))
    };
    match published {
        Ok((source, published)) if source == log => Ok(published),
        Ok((source, _)) => Err(foreign(format!("it is from log {source}"))),
        Err(malformed) => Err(foreign(malformed.to_string())),
    }
}

fn of_publish(place: OutboxPlace, error: &PublishError) -> Trouble {
    let text = format!("publish position {}: {}", place.position(), chain(error));
    let refused = error.source().and_then(|source| source.downcast_ref::<jetstream::Error>());
    let is_too_large = error.kind() == PublishErrorKind::MaxPayloadExceeded
        || refused
            .is_some_and(|error| error.error_code() == ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM);
    match error.kind() {
        _ if is_too_large => Trouble::TooLarge { place, error: text },
        PublishErrorKind::Other if refused.is_some() => Trouble::Refused(text),
        _ => Trouble::Doubt(text),
    }
}
