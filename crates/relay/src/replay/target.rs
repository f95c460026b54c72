//! The stream that a replay goes into.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::context::GetStreamByNameErrorKind;
use async_nats::jetstream::stream::{Config, DiscardPolicy, StorageType};
use futures_util::TryStreamExt as _;
use uuid::Uuid;

use super::{ReplayError, Request};
use crate::Namespace;
use crate::broker::BrokerError;

/// How long a stream that was made for a replay keeps its messages.
pub const KEPT: Duration = Duration::from_hours(72);

/// The name of the stream that keeps the subject of `request`, made if there is none, and whether it
/// was.
pub(super) async fn target(
    context: &Context,
    namespace: &Namespace,
    request: &Request,
    id: Uuid,
) -> Result<(String, bool), ReplayError> {
    let prefix = format!("{}-REPLAY-", namespace.stream_name());
    remove_expired(context, &prefix).await?;
    let subject = &request.subject;
    match context.stream_by_subject(subject.as_str()).await {
        Ok(stream) => {
            let found = context.get_stream(&stream).await;
            let found = found.map_err(|error| BrokerError::asked("look at a stream", error))?;
            let config = &found.cached_info().config;
            let reason = if stream == namespace.stream_name() {
                Some("which is what everybody reads: use a subject of the subscriber's own")
            } else if config.discard == DiscardPolicy::Old
                && (config.max_messages > 0
                    || config.max_bytes > 0
                    || config.max_messages_per_subject > 0)
            {
                Some(
                    "which drops its oldest messages when it is full, so that some would be lost: \
                      use a subject that no stream keeps",
                )
            } else {
                None
            };
            match reason {
                None => Ok((stream, false)),
                Some(reason) => {
                    Err(ReplayError::Taken { subject: subject.clone(), stream, reason })
                }
            }
        }
        Err(error) if error.kind() == GetStreamByNameErrorKind::NotFound => {
            let config = Config {
                name: format!("{prefix}{id}"),
                subjects: vec![subject.as_str().to_owned()],
                storage: StorageType::File,
                discard: DiscardPolicy::New,
                max_age: KEPT,
                description: Some(format!("Replay of {namespace}, removed when it has expired")),
                ..Config::default()
            };
            let made = context.create_stream(&config).await;
            made.map_err(|error| BrokerError::asked("make a stream for the replay", error))?;
            Ok((config.name, true))
        }
        Err(error) => Err(BrokerError::asked("look for a stream of the subject", error).into()),
    }
}

/// Removes streams of earlier replays whose messages have all expired.
async fn remove_expired(context: &Context, prefix: &str) -> Result<(), BrokerError> {
    let streams = context.streams().try_collect::<Vec<_>>().await;
    let streams = streams.map_err(|error| BrokerError::asked("list the streams", error))?;
    let is_expired = |info: &&async_nats::jetstream::stream::Info| {
        let state = &info.state;
        info.config.name.starts_with(prefix) && state.messages == 0 && state.last_sequence > 0
    };
    for info in streams.iter().filter(is_expired) {
        // Somebody else may have been faster.
        if let Err(error) = context.delete_stream(&info.config.name).await {
            tracing::info!(%error, stream.name = %info.config.name, "did not remove an expired replay");
        }
    }
    Ok(())
}
