//! The domain's policies, as consumers of messages.

use std::num::NonZeroU16;

use application::policies::{Incoming, PolicyError, react};
use application::{CommandBus, CommandError};
use domain::{POLICIES, Policy};
use eventstore::AppendError;
use relay::{ConsumerConfig, Declared, Handler, HandlerError, IncomingMessage, Namespace};
use sqlx::PgConnection;

use crate::config::Config;
use crate::mail;

/// How many messages a policy reacts to side by side, each of a key of its own.
const LANES: NonZeroU16 = NonZeroU16::MIN.saturating_add(1);

/// What the broker should hold with these settings.
///
/// # Errors
/// The broker or the namespace cannot be read.
pub fn declared(config: &Config) -> anyhow::Result<Declared> {
    let publisher = config.nats.publisher()?;
    let consumers = policies(&publisher.namespace).map(|(_, consumer)| consumer);
    let mail = config.mail.is_sent().then(|| mail::consumer(&publisher.namespace));
    Ok(Declared { consumers: consumers.chain(mail).collect(), publisher })
}

/// Every policy, and how it reads the stream of `namespace`: what workers run and operators compare
/// with the broker.
pub fn policies(namespace: &Namespace) -> impl Iterator<Item = (&'static Policy, ConsumerConfig)> {
    POLICIES.iter().map(|&policy| {
        let subjects = policy.reads.iter().map(ToString::to_string);
        let config = ConsumerConfig {
            // An append holds up all others until its transaction ends: one message at a time.
            batch: NonZeroU16::MIN,
            parallel: LANES,
            ..ConsumerConfig::new(policy.name, namespace.clone(), subjects)
        };
        (policy, config)
    })
}

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
            tenant: message.tenant,
            trace: message.trace.as_deref(),
        };
        let reacted = react(&self.bus, transaction, self.policy, incoming).await;
        reacted.map_err(|error| match error {
            PolicyError::Command(CommandError::Append(AppendError::Conflict { .. })) => {
                HandlerError::Conflict
            }
            PolicyError::Decode(_) => HandlerError::Refused(Box::new(error)),
            PolicyError::Command(_) => HandlerError::Failed(Box::new(error)),
        })
    }
}
