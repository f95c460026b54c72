//! The stream of the installation: made if it is missing, otherwise left as it is.

use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType, Stream};
use async_nats::jetstream::{Context, ErrorCode};

use super::PublisherConfig;
use super::trouble::Trouble;
use crate::broker::chain;

/// How long the broker remembers message ids. Not what keeps messages from being repeated: that
/// is the expected sequence.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);

/// The stream as it is, made if it is missing.
pub(super) async fn ensure(context: &Context, config: &PublisherConfig) -> Result<Stream, Trouble> {
    let wanted = wanted(config);
    match context.get_stream(&wanted.name).await {
        Ok(stream) => {
            warn_of_differences(&stream.cached_info().config, &wanted);
            Ok(stream)
        }
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(api)
                if api.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                create(context, wanted).await
            }
            _ => Err(Trouble::Unreachable(chain(&error))),
        },
    }
}

async fn create(context: &Context, wanted: Config) -> Result<Stream, Trouble> {
    match context.create_stream(wanted).await {
        Ok(stream) => {
            tracing::info!(stream.name = %stream.cached_info().config.name, "created the stream");
            Ok(stream)
        }
        Err(error) => match error.kind() {
            CreateStreamErrorKind::JetStream(api) => {
                Err(Trouble::Refused(format!("the broker does not make the stream: {api}")))
            }
            _ => Err(Trouble::Unreachable(chain(&error))),
        },
    }
}

fn wanted(config: &PublisherConfig) -> Config {
    Config {
        name: config.namespace.stream_name(),
        subjects: vec![config.namespace.all_subjects()],
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        // A full stream refuses: the outbox keeps what it does not take.
        discard: DiscardPolicy::New,
        duplicate_window: DUPLICATE_WINDOW,
        num_replicas: config.replicas.get(),
        allow_direct: true,
        ..Config::default()
    }
}

/// An operator may have reasons; what differs is said, not changed.
fn warn_of_differences(found: &Config, wanted: &Config) {
    let differing: Vec<&str> = [
        ("subjects", found.subjects != wanted.subjects),
        ("storage", found.storage != wanted.storage),
        ("retention", found.retention != wanted.retention),
        ("discard", found.discard != wanted.discard),
        ("duplicate_window", found.duplicate_window != wanted.duplicate_window),
        ("num_replicas", found.num_replicas != wanted.num_replicas),
        ("allow_direct", found.allow_direct != wanted.allow_direct),
    ]
    .into_iter()
    .filter_map(|(setting, differs)| differs.then_some(setting))
    .collect();
    if !differing.is_empty() {
        tracing::warn!(stream.name = %found.name, settings = ?differing, "the stream has other settings than the relay would give it");
    }
}
