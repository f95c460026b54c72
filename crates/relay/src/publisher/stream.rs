//! The stream of the installation: made if it is missing, otherwise left as it is.

use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, Stream};
use async_nats::jetstream::{Context, ErrorCode};

use super::PublisherConfig;
use super::trouble::Trouble;
use crate::broker::chain;
use crate::declared::{stream, stream_differences};

/// The stream as it is, made if it is missing.
pub(super) async fn ensure(context: &Context, config: &PublisherConfig) -> Result<Stream, Trouble> {
    let wanted = stream(config);
    match context.get_stream(&wanted.name).await {
        Ok(stream) => {
            warn_of_drift(&stream.cached_info().config, &wanted);
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

/// An operator may have reasons; what differs is said, not changed.
fn warn_of_drift(found: &Config, wanted: &Config) {
    for difference in stream_differences(found, wanted) {
        tracing::warn!(
            stream.name = %found.name, %difference,
            "the stream is not as declared, and is left as it is: see `annals relay plan`"
        );
    }
}
