//! Commands that follow from messages of other contexts.
//!
//! A policy runs behind an inbox: [`react`] is called in the transaction that marks the message
//! as received, so mark and effect commit together (law 6). The command's id is derived from the
//! policy and the message, so even without the inbox a message has no second effect (law 3).

use domain::{DecodeError, Message, Policy};
use eventstore::{CommandId, Fingerprint, Metadata, aggregate};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::bus::{CommandBus, CommandError};
use crate::command::Command;

/// A message as it came in.
#[derive(Debug, Clone, Copy)]
pub struct Incoming<'a> {
    /// Its id.
    pub id: Uuid,
    /// The name of its type, for example `ordering.order-placed`.
    pub name: &'a str,
    /// The version of its type.
    pub version: i16,
    /// JSON text.
    pub data: &'a str,
    /// The request that began the whole story.
    pub correlation_id: Uuid,
    /// Whose organization it belongs to, and whatever follows from it.
    pub tenant: Option<Uuid>,
    /// W3C traceparent: the span under which the reaction hangs.
    pub trace: Option<&'a str>,
}

/// Why a message had no effect yet.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The message does not have the shape its type says.
    #[error("read message")]
    Decode(#[from] DecodeError),
    /// The command that follows from it was refused.
    #[error("react to message")]
    Command(#[from] CommandError),
}

/// Under which ids of reactions are made, so that they never meet other UUIDs.
const REACTIONS: Uuid = Uuid::from_u128(0x0193_4f3c_9e21_7c55_8f10_7265_6163_7469);

/// Reacts to a message, inside the caller's transaction.
///
/// # Errors
/// See [`PolicyError`]; the caller rolls back and delivers the message again.
pub async fn react(
    bus: &CommandBus,
    connection: &mut PgConnection,
    policy: &Policy,
    incoming: Incoming<'_>,
) -> Result<(), PolicyError> {
    let message = Message::decode(incoming.name, incoming.version, incoming.data)?;
    let decisions = (policy.react)(&message);
    if decisions.is_empty() {
        return Ok(());
    }
    let name = format!("{}\n{}", policy.name, incoming.id);
    let command = Command {
        given: aggregate::Command {
            id: CommandId::new(Uuid::new_v5(&REACTIONS, name.as_bytes())),
            fingerprint: Fingerprint::of(incoming.data.as_bytes()),
            metadata: Metadata {
                actor: format!("policy:{}", policy.name),
                tenant: incoming.tenant,
                correlation_id: incoming.correlation_id,
                causation_id: Some(incoming.id),
                trace: incoming.trace.map(ToOwned::to_owned),
            },
        },
        decisions,
        expected: None,
    };
    bus.execute_in(connection, &command).await?;
    Ok(())
}
