//! The continuous proof of a relay: what it published since it began to lead is what the log says,
//! and the broker is as declared.
//!
//! It reads what came into the stream since the last look, as a subscriber would, at most
//! [`MESSAGES`] a second, so that it never costs more than one more subscriber; when the relay
//! publishes faster it falls behind, which [`Proof::verified`] shows, and catches up later. It
//! changes nothing and holds nobody up.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;
use async_nats::jetstream::stream::Stream;
use eventstore::{OutboxPlace, Position};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::comparison::Comparison;
use super::reader::{Reader, tail};
use super::{Difference, VerifyError};
use crate::RelayState;
use crate::broker::{ANSWER, Connection, chain, find_stream};
use crate::declared::Declared;
use crate::walk::Told;

/// How many messages are looked at in one look at most.
const MESSAGES: u64 = 2_000;

/// How long to the next look when all was looked at.
const PAUSE: Duration = Duration::from_secs(5);

/// How long to the next look when there is more.
const SHORT_PAUSE: Duration = Duration::from_secs(1);

/// The short-lived consumer with which it reads.
pub(crate) const READER: &str = "relay-watch";

/// In how many looks the declaration is compared once.
const PLAN_EVERY: u64 = 12;

/// What the continuous proof has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    /// Everything that was published since it began is right up to here.
    pub verified: Position,
    /// How many differences were found, by [`Difference::kind`].
    pub differences: Vec<(&'static str, u64)>,
    /// What is not as declared: for each object its kind, its name, and how many settings.
    pub drift: Vec<(String, String, usize)>,
    /// How often it has looked.
    pub looks: u64,
}

/// Looks after the stream of one relay.
pub struct Watch {
    declared: Declared,
    told: Told,
    relay: watch::Receiver<RelayState>,
    proof: watch::Sender<Proof>,
}

/// One connection.
struct Session {
    connection: Connection,
    context: Context,
}

/// How far a stream was looked at.
struct Part {
    created: String,
    /// The next sequence.
    next: u64,
    comparison: Comparison,
}

impl Watch {
    /// Compares the stream with what `told` says, and the broker with what is `declared`, while
    /// `relay` leads.
    #[must_use]
    pub fn new(declared: Declared, told: Told, relay: watch::Receiver<RelayState>) -> Self {
        Self { declared, told, relay, proof: watch::Sender::default() }
    }

    /// What it has found, now and later.
    #[must_use]
    pub fn proof(&self) -> watch::Receiver<Proof> {
        self.proof.subscribe()
    }

    /// Looks until `stop`; no failure ends it.
    #[tracing::instrument(name = "relay.watch", skip_all, fields(stream.name = %self.told.namespace.stream_name()))]
    pub async fn run(self, stop: CancellationToken) {
        let mut relay = self.relay.clone();
        let work = async {
            // Without a relay there is nothing to look after.
            while relay.wait_for(|state| state.epoch.is_some()).await.is_ok() {
                self.look_while_it_leads().await;
            }
        };
        stop.run_until_cancelled(Box::pin(work)).await;
    }

    async fn look_while_it_leads(&self) {
        let (mut session, mut part) = (None, None);
        let mut said = String::new();
        while self.relay.borrow().epoch.is_some() {
            let pause = match self.look(&mut session, &mut part).await {
                Ok(true) => PAUSE,
                Ok(false) => SHORT_PAUSE,
                Err(error) => {
                    let error = chain(&error);
                    if error != said {
                        tracing::warn!(error, "cannot look at what was published, will look again");
                        said = error;
                    }
                    session = None;
                    PAUSE
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Looks at what is new; whether that is all there is.
    async fn look(
        &self,
        session: &mut Option<Session>,
        part: &mut Option<Part>,
    ) -> Result<bool, VerifyError> {
        if session.as_ref().is_none_or(|session| session.connection.lost.is_cancelled()) {
            let connection = self.declared.publisher.broker.open("annals-relay-watch").await?;
            let context = ContextBuilder::new().timeout(ANSWER).build(connection.client.clone());
            *session = Some(Session { connection, context });
        }
        let Some(Session { context, .. }) = session else { return Ok(true) };
        let name = self.told.namespace.stream_name();
        let Some(stream) = find_stream(context, &name).await? else { return Ok(true) };
        if self.proof.borrow().looks.is_multiple_of(PLAN_EVERY) {
            self.compare(context).await?;
        }
        let all = self.look_at(&stream, part).await?;
        self.proof.send_modify(|proof| proof.looks += 1);
        Ok(all)
    }

    async fn look_at(&self, stream: &Stream, part: &mut Option<Part>) -> Result<bool, VerifyError> {
        let (state, created) =
            (&stream.cached_info().state, stream.cached_info().created.to_string());
        let is_other = |part: &Part| part.created != created || state.last_sequence + 1 < part.next;
        if part.as_ref().is_some_and(is_other) {
            // It was made again from the log: all of it is looked at.
            *part = Some(self.part(created, OutboxPlace::after(Position::START), 1));
        } else if part.is_none() {
            let begin = match tail(stream, self.told.store.log_id()).await? {
                Some((place, sequence)) if sequence == state.last_sequence => (place, sequence + 1),
                None if state.last_sequence == 0 => (OutboxPlace::after(Position::START), 1),
                // The end was removed: the next message says where to begin.
                _ => return Ok(true),
            };
            *part = Some(self.part(created, begin.0, begin.1));
        }
        let Some(part) = part else { return Ok(true) };
        if part.next < state.first_sequence {
            // Limits removed it before it was looked at.
            part.comparison.front_is_removed();
            part.next = state.first_sequence;
        }
        let end = state.last_sequence.min(part.next + MESSAGES - 1);
        let mut reader = Reader::open(stream, Some(READER), part.next, end).await?;
        loop {
            let messages = reader.next().await?;
            if messages.is_empty() {
                break;
            }
            for message in &messages {
                part.comparison.take(message).await?;
                part.next = message.sequence + 1;
            }
        }
        part.next = part.next.max(end + 1);
        part.comparison.give_up().await?;
        let reached = part.comparison.compared().await?;
        let differences: Vec<_> = part.comparison.differences().collect();
        self.report(&differences, reached);
        Ok(end == state.last_sequence)
    }

    fn part(&self, created: String, from: OutboxPlace, next: u64) -> Part {
        let to = OutboxPlace::after(Position::MAX);
        Part { created, next, comparison: Comparison::new(self.told.clone(), from, to) }
    }

    fn report(&self, differences: &[Difference], reached: Position) {
        for difference in differences {
            tracing::error!(
                %difference,
                "the stream is not what the log says: see `annals relay verify`"
            );
        }
        self.proof.send_modify(|proof| {
            proof.verified = reached;
            for difference in differences {
                let kind = difference.kind();
                match proof.differences.iter_mut().find(|(known, _)| *known == kind) {
                    Some((_, count)) => *count += 1,
                    None => proof.differences.push((kind, 1)),
                }
            }
        });
    }

    /// Compares the broker with what is declared.
    async fn compare(&self, context: &Context) -> Result<(), VerifyError> {
        let drift = self.declared.drift(context).await?;
        self.proof.send_if_modified(|proof| {
            let changed = proof.drift != drift;
            if changed {
                for (kind, name, settings) in &drift {
                    tracing::warn!(
                        settings,
                        "{kind} {name} is not as declared: see `annals relay plan`"
                    );
                }
                proof.drift.clone_from(&drift);
            }
            changed
        });
        Ok(())
    }
}
