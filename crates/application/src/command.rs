//! A command on its way to the bus.

use domain::{Decision, Stream};
use eventstore::aggregate;
use eventstore::{CommandId, Fingerprint, Metadata, Receipt, StreamVersion};
use serde::Serialize;
use uuid::Uuid;

use crate::{CommandBus, CommandError};

/// What shall be decided, and under which id.
pub struct Command {
    /// Its id, what was asked, and who asked.
    pub given: aggregate::Command,
    /// Decided in this order, appended together.
    pub decisions: Vec<Box<dyn Decision>>,
    /// Where the asker has seen one of the streams: the command is refused if it has moved.
    pub expected: Option<(Stream, StreamVersion)>,
}

/// Where a command comes from: what the edge knows of it.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Who asks.
    pub actor: String,
    /// Whose organization it is about; `None` if about none.
    pub tenant: Option<Uuid>,
    /// The request that began the whole story.
    pub correlation_id: Uuid,
    /// W3C traceparent: the span under which the command hangs.
    pub trace: Option<String>,
    /// What the client calls this command; given again, the command has no second effect.
    pub idempotency_key: Option<String>,
}

/// Under which client keys become command ids, so that they never meet other UUIDs.
const KEYS: Uuid = Uuid::from_u128(0x0193_4f3c_9e21_7c55_8f10_6a6e_6e61_6c73);

impl Origin {
    /// The id of the command: from the client's key and name, or else `fresh`.
    pub(crate) fn command_id(&self, fresh: Uuid) -> CommandId {
        let Some(key) = &self.idempotency_key else { return CommandId::new(fresh) };
        // What somebody does in two organizations are two things, whatever they are called.
        let tenant = self.tenant.map(|tenant| format!("{tenant}\n")).unwrap_or_default();
        let name = format!("{}\n{tenant}{key}", self.actor);
        CommandId::new(Uuid::new_v5(&KEYS, name.as_bytes()))
    }

    pub(crate) fn metadata(&self) -> Metadata {
        Metadata {
            actor: self.actor.clone(),
            tenant: self.tenant,
            correlation_id: self.correlation_id,
            causation_id: None,
            trace: self.trace.clone(),
        }
    }
}

impl Command {
    /// `decisions` as one command of `origin`.
    pub(crate) fn of(
        bus: &CommandBus,
        origin: &Origin,
        fingerprint: Fingerprint,
        decisions: Vec<Box<dyn Decision>>,
    ) -> Self {
        let given = aggregate::Command {
            id: origin.command_id(bus.ids.next()),
            fingerprint,
            metadata: origin.metadata(),
        };
        Self { given, decisions, expected: None }
    }
}

/// The fingerprint of what `request` asks of `operation`.
///
/// # Errors
/// The request cannot be written as JSON.
pub(crate) fn fingerprint(
    operation: &str,
    request: &impl Serialize,
) -> Result<Fingerprint, CommandError> {
    let body = serde_json::to_vec(&(operation, request));
    Ok(Fingerprint::of(&body.map_err(|error| CommandError::Encode(error.into()))?))
}

/// The id of the aggregate of `category` that the command of `receipt` wrote: of the first time,
/// if it was given more than once.
pub(crate) fn written(receipt: &Receipt, category: &str) -> Option<Uuid> {
    let streams = receipt.streams.iter().filter_map(|(id, _)| id.as_str().parse::<Stream>().ok());
    streams.into_iter().find(|stream| stream.category() == category).map(|stream| stream.id())
}
