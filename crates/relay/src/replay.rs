//! Sends what the public was told again, to one subscriber, on a subject of its own.
//!
//! The messages are made from the log by what publishes, so what was erased since is erased, and
//! each carries `ce-replay` besides: the id of the replay, and `ce-replaynumber`: 1, 2, 3 … At the
//! end comes one more that says how many there were, with a digest over all of them ([`digest`]), so
//! that the subscriber can tell that it has everything, or that it has not.
//!
//! Publishing to a subject alone would lose whatever the subscriber is too slow for. So everything
//! goes into a JetStream stream and counts when the broker has stored it: the one that covers the
//! subject already, or one that is made for this replay and that the subscriber reads at its own
//! pace. Such a stream keeps its messages for [`KEPT`]; one that is empty by then is removed by the
//! next replay. If anything goes wrong the replay ends with an error and without its last message:
//! it is complete, or nobody says so.
//!
//! Live traffic does not notice: the replay has a connection and a pace of its own, and its subject
//! is outside of the namespace of the installation.

mod digest;
mod request;
mod target;

use std::collections::VecDeque;
use std::future::IntoFuture;

use async_nats::jetstream::context::{ContextBuilder, PublishAckFuture};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::{Context, publish::PublishAck};
use async_nats::{HeaderMap, HeaderValue};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use eventstore::{OutboxPlace, Position};
use serde_json::json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::broker::{ANSWER, BrokerError, Connection};
use crate::cloud_event::{CONTENT_TYPE, SOURCE_PREFIX, SPEC_VERSION, header};
use crate::walk::{Told, Walk, WalkError};
use crate::{Broker, Namespace};
use digest::Digest;
pub use request::{InvalidSubject, Request, Subject};
pub use target::KEPT;

/// Most messages that are on their way at once.
const WINDOW: usize = 256;

/// With as many bytes on their way no more are sent.
const WINDOW_BYTES: usize = 8 * 1024 * 1024;

/// What was sent, once it is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Its id.
    pub id: Uuid,
    /// The stream that holds it.
    pub stream: String,
    /// Whether that stream was made for it.
    pub is_made: bool,
    /// How many messages, without the last one, which says so.
    pub count: u64,
    /// The position of the first one.
    pub first: Option<Position>,
    /// The position of the last one.
    pub last: Option<Position>,
    /// SHA-256 over all of them, hexadecimal.
    pub sha256: String,
}

/// Why a replay is not complete.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Nothing was sent.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// The subject belongs to somebody else; nothing was sent.
    #[error("{subject} is kept by stream {stream}, {reason}")]
    Taken {
        /// The subject.
        subject: Subject,
        /// Where it is kept.
        stream: String,
        /// What is wrong with that.
        reason: &'static str,
    },
    /// What comes next cannot be made.
    #[error(
        "the replay {id} is not complete, {count} messages were sent and no last one: begin again"
    )]
    Cut {
        /// The replay.
        id: Uuid,
        /// How many were stored.
        count: u64,
        /// Why.
        #[source]
        source: CutError,
    },
}

/// Why a replay ended before it was complete.
#[derive(Debug, thiserror::Error)]
pub enum CutError {
    /// The next message cannot be had.
    #[error("read what the public was told")]
    Walk(#[from] WalkError),
    /// The broker did not store a message.
    #[error("send to the broker")]
    Send(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The connection was lost.
    #[error("lost the connection to the broker")]
    Lost,
}

/// Sends what `told` says and `request` asks for.
///
/// # Errors
/// [`ReplayError::Cut`]: it is not complete, and its last message was not sent.
pub async fn replay(
    broker: &Broker,
    told: Told,
    request: &Request,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<Replayed, ReplayError> {
    let connection = broker.open("annals-replay").await?;
    let context = ContextBuilder::new()
        .timeout(ANSWER)
        .ack_timeout(ANSWER)
        .max_ack_inflight(2 * WINDOW)
        .build(connection.client.clone());
    let (stream, is_made) = target::target(&context, &told.namespace, request, id).await?;
    let mut sending = Sending {
        context,
        connection,
        stream: stream.clone(),
        subject: request.subject.clone(),
        id,
        sent: 0,
        stored: 0,
        on_their_way: VecDeque::new(),
        bytes: 0,
    };
    let outcome = sending.send_all(told, request, now).await;
    let stored = sending.stored;
    let sent = outcome.map_err(|source| ReplayError::Cut { id, count: stored, source })?;
    Ok(Replayed { id, stream, is_made, ..sent })
}

/// One replay on its way.
struct Sending {
    context: Context,
    connection: Connection,
    stream: String,
    subject: Subject,
    id: Uuid,
    sent: u64,
    stored: u64,
    on_their_way: VecDeque<(usize, <PublishAckFuture as IntoFuture>::IntoFuture)>,
    bytes: usize,
}

impl Sending {
    async fn send_all(
        &mut self,
        told: Told,
        request: &Request,
        now: DateTime<Utc>,
    ) -> Result<Replayed, CutError> {
        let (log, namespace) = (told.store.log_id(), told.namespace.clone());
        // What is appended meanwhile comes to everybody in its own time.
        let until = request.until.min(told.store.head().await.map_err(WalkError::from)?);
        let mut walk = Walk::new(told, OutboxPlace::after(request.after));
        let (mut digest, mut first, mut last) = (Digest::default(), None, None);
        let began = Instant::now();
        while let Some(message) = walk.next().await? {
            let position = message.place.position();
            if position > until {
                break;
            }
            if !request.wants(&namespace, &message.subject) {
                continue;
            }
            if let Some(rate) = request.rate {
                let due = f64::from(u32::try_from(self.sent).unwrap_or(u32::MAX));
                let due = std::time::Duration::from_secs_f64(due / f64::from(rate.get()));
                tokio::time::sleep_until(began + due).await;
            }
            digest.update(message.id, &message.body);
            first = first.or(Some(position));
            last = Some(position);
            self.send(message.headers, message.body).await?;
        }
        self.await_stored(0).await?;
        let count = self.stored;
        let sha256 = digest.finish();
        let body = json!({
            "replay": self.id,
            "count": count,
            "first_position": first.map(Position::get),
            "last_position": last.map(Position::get),
            "sha256": sha256,
        });
        let headers = self.completion(&namespace, &format!("{SOURCE_PREFIX}{log}"), now)?;
        self.send(headers, Bytes::from(body.to_string())).await?;
        self.await_stored(0).await?;
        let (id, stream, is_made) = (self.id, String::new(), false);
        Ok(Replayed { id, stream, is_made, count, first, last, sha256 })
    }

    /// The headers of the last message, which says that all were sent.
    fn completion(
        &self,
        namespace: &Namespace,
        source: &str,
        now: DateTime<Utc>,
    ) -> Result<HeaderMap, CutError> {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            (header::SPEC_VERSION, SPEC_VERSION.to_owned()),
            // Of this replay, so that the message has an id of its own.
            (header::ID, self.id.to_string()),
            (header::SOURCE, source.to_owned()),
            (header::TYPE, namespace.subject(COMPLETED)),
            (header::TIME, now.to_rfc3339_opts(SecondsFormat::Micros, true)),
            (header::CONTENT_TYPE, CONTENT_TYPE.to_owned()),
        ] {
            let value: HeaderValue =
                value.parse().map_err(|error| CutError::Send(Box::new(error)))?;
            headers.insert(name, value);
        }
        Ok(headers)
    }

    /// Sends one message, as soon as there is room for it.
    async fn send(&mut self, mut headers: HeaderMap, body: Bytes) -> Result<(), CutError> {
        while self.on_their_way.len() >= WINDOW || self.bytes >= WINDOW_BYTES {
            self.await_stored(self.on_their_way.len() - 1).await?;
        }
        self.sent += 1;
        headers.insert(header::REPLAY, self.id.to_string().as_str());
        headers.insert(header::REPLAY_NUMBER, self.sent.to_string().as_str());
        let bytes = body.len();
        let message = PublishMessage::build()
            .payload(body)
            .headers(headers)
            // Not the id of the message: a stream that keeps several replays needs them all.
            .message_id(format!("{}/{}", self.id, self.sent))
            .expected_stream(&self.stream);
        let subject = self.subject.as_str().to_owned();
        let ack = tokio::select! {
            biased;
            () = self.connection.lost.cancelled() => return Err(CutError::Lost),
            sent = self.context.send_publish(subject, message) => sent,
        };
        let ack = ack.map_err(|error| CutError::Send(Box::new(error)))?;
        self.on_their_way.push_back((bytes, ack.into_future()));
        self.bytes += bytes;
        Ok(())
    }

    /// Waits until no more than `left` messages are on their way.
    async fn await_stored(&mut self, left: usize) -> Result<(), CutError> {
        while self.on_their_way.len() > left {
            let Some((bytes, ack)) = self.on_their_way.pop_front() else { break };
            let stored: Result<PublishAck, _> = tokio::select! {
                biased;
                () = self.connection.lost.cancelled() => return Err(CutError::Lost),
                stored = ack => stored,
            };
            stored.map_err(|error| CutError::Send(Box::new(error)))?;
            self.bytes -= bytes;
            self.stored += 1;
        }
        Ok(())
    }
}

/// The type of the last message, without the namespace.
pub const COMPLETED: &str = "relay.replay-completed.v1";
