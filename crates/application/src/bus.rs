//! The one way to change anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Aggregates, Stream};
use eventstore::aggregate::{Decided, ExecuteError, LoadError, Repository, Settings, States};
use eventstore::{Digests, EventStore, Keyring, KeyringError, Receipt, StreamId, StreamVersion};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use sqlx::PgConnection;

use crate::aggregates::{AnyAggregate, AnyEvent};
use crate::command::Command;
use crate::ports::{Clock, IdSource};
use crate::span::CommandSpan;
use crate::{MessageLimit, Refusal, codec};

/// How many aggregates are loaded at a time, each on a connection: others want some as well.
const SIDE_BY_SIDE: usize = 4;

/// Loads, decides, appends. Clones share everything.
#[derive(Clone)]
pub struct CommandBus {
    aggregates: Repository<AnyAggregate>,
    message_limit: MessageLimit,
    digests: Option<Digests>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
}

/// Why a command had no effect, or may have had.
pub type CommandError = ExecuteError<Refusal>;

impl CommandBus {
    /// A bus that appends to `store`.
    #[must_use]
    pub fn new(store: EventStore, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        let evolution = Arc::clone(codec::evolution());
        let aggregates = Repository::new(store, evolution, Settings::default());
        Self { aggregates, message_limit: MessageLimit::NONE, digests: None, clock, ids }
    }

    /// A bus that keeps personal data under the keys of `keyring`; without it, commands with personal
    /// data are refused.
    ///
    /// # Errors
    /// The database cannot be reached.
    pub async fn with_personal_data(self, keyring: Keyring) -> Result<Self, KeyringError> {
        let digests = keyring.digests().await?;
        let aggregates = self.aggregates.with_keyring(keyring);
        Ok(Self { aggregates, digests: Some(digests), ..self })
    }

    /// The aggregates of `streams` as they are now, what is personal in them opened; some at a time,
    /// each by itself.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub(crate) async fn load(&self, streams: &[Stream]) -> Result<Aggregates, LoadError> {
        let load = |stream: Stream| async move {
            let loaded = self.aggregates.load(&codec::stream_id(stream)).await?;
            Ok::<_, LoadError>((stream, loaded.state))
        };
        let loading = stream::iter(streams.iter().copied()).map(load);
        let loaded: Vec<_> = loading.buffer_unordered(SIDE_BY_SIDE).try_collect().await?;
        let mut aggregates = Aggregates::default();
        for (stream, state) in loaded {
            if let AnyAggregate(Some(state)) = state {
                aggregates.insert(stream, state);
            }
        }
        Ok(aggregates)
    }

    /// For digests of personal data.
    ///
    /// # Errors
    /// There are no keys.
    pub(crate) fn digests(&self) -> Result<&Digests, CommandError> {
        self.digests.as_ref().ok_or_else(|| CommandError::Encode(codec::WithoutKeys.into()))
    }

    /// A bus that appends no event whose public message is larger than `limit`; such a command
    /// ends with [`CommandError::Encode`] of [`MessageTooLarge`](crate::MessageTooLarge).
    #[must_use]
    pub fn with_message_limit(self, limit: MessageLimit) -> Self {
        Self { message_limit: limit, ..self }
    }

    /// The store it appends to.
    #[must_use]
    pub const fn store(&self) -> &EventStore {
        self.aggregates.store()
    }

    /// Decides on `command` and appends what follows, deciding again when others were faster.
    ///
    /// A command whose id took effect before gives the receipt of that time, whatever it would
    /// be decided to be now (law 3). When the answer of the append is lost, the receipt is looked
    /// up once (law 4).
    ///
    /// # Errors
    /// See [`ExecuteError`]. Only
    /// [`AppendError::Unconfirmed`](eventstore::AppendError::Unconfirmed) leaves open whether it
    /// had effect; the same command again is safe.
    pub async fn execute(&self, command: &Command) -> Result<Receipt, CommandError> {
        let (span, given) = CommandSpan::begin(command);
        let streams = streams(command);
        let ids: Vec<_> = streams.values().cloned().collect();
        let decide = |states: &States<'_, AnyAggregate>| {
            span.decides();
            self.decide(command, &streams, states)
        };
        let outcome = self.aggregates.execute_over(&ids, &given, decide).await;
        span.end(&outcome);
        outcome
    }

    /// Decides and appends once, inside the caller's transaction.
    ///
    /// # Errors
    /// As [`CommandBus::execute`]; a conflict is
    /// [`AppendError::Conflict`](eventstore::AppendError::Conflict), and the caller begins its
    /// transaction again.
    pub async fn execute_in(
        &self,
        connection: &mut PgConnection,
        command: &Command,
    ) -> Result<Receipt, CommandError> {
        let (span, given) = CommandSpan::begin(command);
        let streams = streams(command);
        let ids: Vec<_> = streams.values().cloned().collect();
        let decide = |states: &States<'_, AnyAggregate>| {
            span.decides();
            self.decide(command, &streams, states)
        };
        let outcome = self.aggregates.execute_in(connection, &ids, &given, decide).await;
        span.end(&outcome);
        outcome
    }

    /// What follows from `command`, given the states of its streams. Pure.
    fn decide(
        &self,
        command: &Command,
        streams: &BTreeMap<Stream, StreamId>,
        states: &States<'_, AnyAggregate>,
    ) -> Result<Decided<AnyEvent>, Refusal> {
        if let Some((stream, expected)) = command.expected {
            let actual = states.version(&codec::stream_id(stream));
            // Of what is not there nobody has seen a state: the decision says so.
            if actual != expected && actual != StreamVersion::START {
                return Err(Refusal::Changed { stream, expected, actual });
            }
        }
        let mut aggregates = Aggregates::default();
        for (stream, id) in streams {
            if let Some(AnyAggregate(Some(state))) = states.get(id) {
                aggregates.insert(*stream, state.clone());
            }
        }
        let mut decided = Decided::default();
        let (limit, digests) = (self.message_limit, self.digests.as_ref());
        for decision in &command.decisions {
            for event in decision.decide(&aggregates)? {
                // Later decisions see what earlier ones have brought about.
                aggregates.apply(&event);
                let id = codec::stream_id(event.stream());
                for claim in event.claims() {
                    decided.claims.push(codec::claim(claim, &id, digests)?);
                }
                for claim in event.releases() {
                    decided.releases.push(codec::claim(claim, &id, digests)?);
                }
                decided.events.push((id, AnyEvent { event, limit }));
            }
        }
        Ok(decided)
    }
}

fn streams(command: &Command) -> BTreeMap<Stream, StreamId> {
    let streams = command.decisions.iter().flat_map(|decision| decision.streams());
    streams.map(|stream| (stream, codec::stream_id(stream))).collect()
}
