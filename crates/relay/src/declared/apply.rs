//! Brings the broker to what is declared.

use async_nats::jetstream::Context;
use async_nats::jetstream::stream::Stream;

use super::plan::consumers;
use super::{Declared, Kind, Object, Plan, Standing, consumer, stream};
use crate::broker::{BrokerError, chain, find_stream};

/// Why the broker is not as it is declared.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// Some of it cannot be changed in place; nothing was changed.
    #[error("nothing was changed, because some of it cannot be changed in place:\n{}", .0.join("\n"))]
    Impossible(Vec<String>),
    /// The broker refused one change; those before it are made.
    #[error("the broker does not let {kind} {name} be as it is declared: {reason}")]
    Refused {
        /// Of what.
        kind: Kind,
        /// Of which.
        name: String,
        /// What the broker said.
        reason: String,
    },
    /// The broker does not answer.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// Does what `plan` found to be done.
pub(super) async fn apply(
    context: &Context,
    declared: &Declared,
    plan: &Plan,
) -> Result<(), ApplyError> {
    let impossible = plan.objects.iter().flat_map(|object| {
        let sentence = move |(difference, obstacle)| {
            format!("{} {}, {difference}: {obstacle}", object.kind, object.name)
        };
        object.impossible().map(sentence)
    });
    let impossible: Vec<String> = impossible.collect();
    if !impossible.is_empty() {
        return Err(ApplyError::Impossible(impossible));
    }
    for object in plan.drift() {
        let done = match object.kind {
            Kind::Stream => apply_stream(context, declared, &object.standing).await,
            Kind::Consumer => apply_consumer(context, declared, object).await,
        };
        done?.map_err(|reason| {
            let (kind, name) = (object.kind, object.name.clone());
            ApplyError::Refused { kind, name, reason }
        })?;
    }
    Ok(())
}

/// What the broker said if it refused.
type Done = Result<(), String>;

async fn apply_stream(
    context: &Context,
    declared: &Declared,
    standing: &Standing,
) -> Result<Done, BrokerError> {
    let wanted = stream(&declared.publisher);
    if *standing == Standing::Missing {
        let made = context.create_stream(&wanted).await;
        return Ok(made.map(drop).map_err(|error| chain(&error)));
    }
    let there = the_stream(context, &wanted.name).await?;
    let patched = stream::patched(&there.cached_info().config, &wanted);
    let changed = context.update_stream(&patched).await;
    Ok(changed.map(drop).map_err(|error| chain(&error)))
}

async fn apply_consumer(
    context: &Context,
    declared: &Declared,
    object: &Object,
) -> Result<Done, BrokerError> {
    let Some(config) = declared.consumers.iter().find(|config| config.name == object.name) else {
        return Ok(Ok(()));
    };
    let stream = the_stream(context, &config.namespace.stream_name()).await?;
    let wanted = consumer(config);
    let there = consumers(&stream).await?.remove(&config.name);
    let done = match there {
        None => stream.create_consumer(wanted).await.map(drop).map_err(|error| chain(&error)),
        Some(there) => {
            let changed = stream.update_consumer(consumer::patched(&there.config, &wanted)).await;
            changed.map(drop).map_err(|error| chain(&error))
        }
    };
    Ok(done)
}

/// The stream, which was there or was made a moment ago.
async fn the_stream(context: &Context, name: &str) -> Result<Stream, BrokerError> {
    find_stream(context, name).await?.ok_or_else(|| BrokerError::NoStream { name: name.to_owned() })
}
