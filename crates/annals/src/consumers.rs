//! The domain's policies, as consumers of messages.

use application::policies::{self, Incoming, PolicyError};
use application::{CommandBus, CommandError};
use domain::Policy;
use eventstore::AppendError;
use relay::{Handler, HandlerError, IncomingMessage};
use sqlx::PgConnection;

/// Reacts to messages with one policy.
pub struct PolicyHandler {
    /// The policy.
    pub policy: &'static Policy,
    /// Where its commands go.
    pub bus: CommandBus,
}

impl Handler for PolicyHandler {
    async fn handle(
        &self,
        transaction: &mut PgConnection,
        messages: &[&IncomingMessage],
    ) -> Result<(), HandlerError> {
        for message in messages {
            self.react(transaction, message).await?;
        }
        Ok(())
    }
}

impl PolicyHandler {
    async fn react(
        &self,
        transaction: &mut PgConnection,
        message: &IncomingMessage,
    ) -> Result<(), HandlerError> {
        let incoming = Incoming {
            id: message.id,
            name: &message.message_type.name,
            version: message.message_type.version,
            data: &message.data,
            correlation_id: message.correlation_id,
            trace: message.trace.as_deref(),
        };
        let reacted = policies::react(&self.bus, transaction, self.policy, incoming).await;
        reacted.map_err(|error| match error {
            PolicyError::Command(CommandError::Append(AppendError::Conflict { .. })) => {
                HandlerError::Conflict
            }
            PolicyError::Decode(_) => HandlerError::Refused(Box::new(error)),
            PolicyError::Command(_) => HandlerError::Failed(Box::new(error)),
        })
    }
}
