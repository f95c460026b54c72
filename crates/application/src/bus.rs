//! The one way to change anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{Event, Rejection, Stream};
use eventstore::{
    Append, AppendError, EventStore, ExpectedVersion, Receipt, RecordedEvent, StreamId,
    StreamVersion,
};
use sqlx::PgConnection;

use crate::codec::{self, Undecodable};
use crate::command::Command;
use crate::ports::{Clock, IdSource};

/// How often a command is decided again because somebody else was faster.
const ATTEMPTS: usize = 20;

/// Loads, decides, appends. Clones share everything.
#[derive(Clone)]
pub struct CommandBus {
    store: EventStore,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
}

/// Why a command had no effect, or may have had.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// A rule of the domain forbids it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// Others changed the same streams each time it was decided.
    #[error("others kept changing the same streams, {ATTEMPTS} times")]
    Contended,
    /// The store did not append it; see the variant for what that means.
    #[error("append")]
    Append(#[source] AppendError),
    /// The streams it depends on could not be read.
    #[error("load streams")]
    Load(#[source] sqlx::Error),
    /// A stream it depends on holds an event that today's types cannot read.
    #[error("the log holds what this version cannot read")]
    Undecodable(#[from] Undecodable),
    /// What it asks for cannot be written as JSON.
    #[error("write as JSON")]
    Encode(#[from] serde_json::Error),
}

impl CommandBus {
    /// A bus that appends to `store`.
    #[must_use]
    pub fn new(store: EventStore, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        Self { store, clock, ids }
    }

    /// The store it appends to.
    #[must_use]
    pub const fn store(&self) -> &EventStore {
        &self.store
    }

    /// Decides on `command` and appends what follows, deciding again when others were faster.
    ///
    /// A command whose id took effect before gives the receipt of that time, whatever it would
    /// be decided to be now (law 3). When the answer of the append is lost, the receipt is looked
    /// up once (law 4).
    ///
    /// # Errors
    /// See [`CommandError`]. Only [`AppendError::Unconfirmed`] leaves open whether it had effect;
    /// the same command again is safe.
    pub async fn execute(&self, command: &Command) -> Result<Receipt, CommandError> {
        let streams = stream_ids(command);
        for _ in 0..ATTEMPTS {
            let history = self.store.read_streams(&streams).await.map_err(CommandError::Load)?;
            let append = match decide(command, &streams, &history) {
                Ok(append) => append,
                Err(CommandError::Rejected(rejection)) => {
                    let known = self.store.repeated(command.id, command.fingerprint).await;
                    let known = known.map_err(CommandError::Append)?;
                    return known.ok_or(CommandError::Rejected(rejection));
                }
                Err(error) => return Err(error),
            };
            match self.store.append(append).await {
                Err(AppendError::Conflict { .. } | AppendError::ConditionFailed { .. }) => {}
                Err(error @ AppendError::Unconfirmed { .. }) => {
                    let known = self.store.repeated(command.id, command.fingerprint).await;
                    return known.ok().flatten().ok_or(CommandError::Append(error));
                }
                outcome => return outcome.map_err(CommandError::Append),
            }
        }
        Err(CommandError::Contended)
    }

    /// Decides and appends once, inside the caller's transaction.
    ///
    /// # Errors
    /// As [`CommandBus::execute`]; a conflict is [`AppendError::Conflict`], and the caller begins
    /// its transaction again.
    pub async fn execute_in(
        &self,
        connection: &mut PgConnection,
        command: &Command,
    ) -> Result<Receipt, CommandError> {
        let streams = stream_ids(command);
        let history = self.store.read_streams_in(connection, &streams).await;
        match decide(command, &streams, &history.map_err(CommandError::Load)?) {
            Ok(append) => {
                self.store.append_in(connection, &append).await.map_err(CommandError::Append)
            }
            Err(CommandError::Rejected(rejection)) => {
                let known =
                    EventStore::repeated_in(connection, command.id, command.fingerprint).await;
                known.map_err(CommandError::Append)?.ok_or(CommandError::Rejected(rejection))
            }
            Err(error) => Err(error),
        }
    }
}

/// What is to be appended, given the history of the streams. Pure.
fn decide(
    command: &Command,
    streams: &[StreamId],
    recorded: &[RecordedEvent],
) -> Result<Append, CommandError> {
    let mut history = Vec::with_capacity(recorded.len());
    let mut versions: BTreeMap<&StreamId, StreamVersion> = BTreeMap::new();
    for event in recorded {
        history.push(codec::decode(event)?);
        versions.insert(&event.stream, event.version);
    }
    let expectations = streams.iter().map(|stream| {
        let version = versions.get(stream).copied().unwrap_or_default();
        (stream.clone(), ExpectedVersion::Exact(version))
    });
    let (mut events, mut claims) = (Vec::new(), Vec::new());
    for decision in &command.decisions {
        let of_decision = decision.streams();
        let relevant: Vec<&Event> =
            history.iter().filter(|event| of_decision.contains(&event.stream())).collect();
        let decided = decision.decide(&relevant)?;
        for event in decided {
            events.push(codec::encode(&event)?);
            claims.extend(codec::claims(&event));
            history.push(event);
        }
    }
    Ok(Append {
        expectations: expectations.collect(),
        events,
        claims,
        ..Append::new(command.id, command.fingerprint, command.metadata.clone())
    })
}

fn stream_ids(command: &Command) -> Vec<StreamId> {
    let streams: std::collections::BTreeSet<Stream> =
        command.decisions.iter().flat_map(|decision| decision.streams()).collect();
    streams.into_iter().map(codec::stream_id).collect()
}
