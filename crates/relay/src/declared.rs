//! What the broker should hold for an installation: its stream and its durable consumers.
//!
//! Both are declared in code. A relay makes a stream that is missing and a consumer the durable
//! that it reads with; neither changes one that is there, because an operator may have reasons, or
//! be in the middle of something. What differs is shown ([`Declared::plan`]) and brought into line
//! when somebody says so ([`Declared::apply`]).
//!
//! Only settings that this code declares are compared and changed; what an operator has set besides
//! (a description, a placement, consumers of others) stays as it is.

mod apply;
mod consumer;
mod difference;
mod plan;
mod stream;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::ContextBuilder;

use crate::broker::{ANSWER, BrokerError, Connection};
use crate::{ConsumerConfig, PublisherConfig};
pub use apply::ApplyError;
pub(crate) use consumer::{consumer, differences as consumer_differences};
pub use difference::Difference;
pub use plan::{Kind, Object, Plan, Standing, Undeclared};
pub use stream::StreamLimits;
pub(crate) use stream::{differences as stream_differences, stream};

/// What one installation declares.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Who writes the stream, and so how it is to be.
    pub publisher: PublisherConfig,
    /// Everybody who reads it with a durable consumer.
    pub consumers: Vec<ConsumerConfig>,
}

impl Declared {
    /// Compares what is declared with what the broker has; changes nothing.
    ///
    /// # Errors
    /// The broker does not answer.
    pub async fn plan(&self) -> Result<Plan, BrokerError> {
        let (_connection, context) = self.connect().await?;
        plan::plan(&context, self).await
    }

    /// Brings the broker to what is declared: makes what is missing, changes what differs, and
    /// nothing else. Answers what it found; when it is done, that is done.
    ///
    /// # Errors
    /// [`ApplyError::Impossible`]: something cannot be changed in place; then nothing was changed.
    pub async fn apply(&self) -> Result<Plan, ApplyError> {
        let (_connection, context) = self.connect().await?;
        let plan = plan::plan(&context, self).await?;
        apply::apply(&context, self, &plan).await?;
        Ok(plan)
    }

    /// What is missing or differs: kind, name, and how many settings.
    pub(crate) async fn drift(
        &self,
        context: &Context,
    ) -> Result<Vec<(String, String, usize)>, BrokerError> {
        let plan = plan::plan(context, self).await?;
        let drift = plan.drift().map(|object| {
            let settings = match &object.standing {
                Standing::Differs(differences) => differences.len(),
                Standing::AsDeclared => 0,
                Standing::Missing => 1,
            };
            (object.kind.to_string(), object.name.clone(), settings)
        });
        Ok(drift.collect())
    }

    async fn connect(&self) -> Result<(Connection, Context), BrokerError> {
        let connection = self.publisher.broker.open("annals-operator").await?;
        let context = ContextBuilder::new().timeout(ANSWER).build(connection.client.clone());
        Ok((connection, context))
    }
}
