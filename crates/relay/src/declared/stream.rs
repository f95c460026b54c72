//! The stream, as it is declared.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};

use super::Difference;
use super::difference::{Comparison, age, limit, list, name};
use crate::PublisherConfig;

/// How much the stream holds; of what it does not take, the outbox keeps everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamLimits {
    /// Most bytes of all messages together; as many as there is room for if there is none. When it
    /// is reached, publishing stops until there is room.
    pub max_bytes: Option<NonZeroU64>,
    /// How long a message is kept; for ever if there is none.
    pub max_age: Option<Duration>,
    /// Most bytes of one message with its headers; as many as the broker takes if there is none.
    pub max_message_bytes: Option<NonZeroU32>,
}

impl StreamLimits {
    /// No limits but those of the broker.
    pub const NONE: Self = Self { max_bytes: None, max_age: None, max_message_bytes: None };
}

/// How long the broker remembers message ids. Not what keeps messages from being repeated: that
/// is the expected sequence.
const DUPLICATE_WINDOW: Duration = Duration::from_mins(2);

const STORAGE: &str = "the broker cannot move a stream to other storage: stop the relays, delete \
     the stream, and start them; they make it again from the log, and its readers begin again";

const WORK_QUEUE: &str = "the broker cannot take a stream out of a work queue: stop the relays, \
     delete the stream, and start them; they make it again from the log, and its readers begin again";

/// The stream that `config` asks for.
pub(crate) fn stream(config: &PublisherConfig) -> Config {
    let limits = config.limits;
    let max_age = limits.max_age.unwrap_or_default();
    Config {
        name: config.namespace.stream_name(),
        subjects: vec![config.namespace.all_subjects()],
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        // A full stream refuses: the outbox keeps what it does not take.
        discard: DiscardPolicy::New,
        max_bytes: limits.max_bytes.map_or(-1, |bytes| bytes.get().try_into().unwrap_or(i64::MAX)),
        max_age,
        max_message_size: limits
            .max_message_bytes
            .map_or(-1, |bytes| bytes.get().try_into().unwrap_or(i32::MAX)),
        // The broker refuses to remember ids for longer than messages.
        duplicate_window: if max_age.is_zero() {
            DUPLICATE_WINDOW
        } else {
            DUPLICATE_WINDOW.min(max_age)
        },
        num_replicas: config.replicas.get(),
        allow_direct: true,
        max_messages: -1,
        max_messages_per_subject: -1,
        ..Config::default()
    }
}

/// Where the stream `there` is not as `wanted`.
pub(crate) fn differences(there: &Config, wanted: &Config) -> Vec<Difference> {
    let mut comparison = Comparison::default();
    comparison.of("subjects", (&there.subjects, &wanted.subjects), |values| list(values));
    let storage = (&there.storage, &wanted.storage);
    comparison.or_impossible("storage", storage, name, Some(STORAGE));
    let obstacle = (there.retention == RetentionPolicy::WorkQueue).then_some(WORK_QUEUE);
    let retention = (&there.retention, &wanted.retention);
    comparison.or_impossible("retention", retention, name, obstacle);
    comparison.of("discard", (&there.discard, &wanted.discard), name);
    comparison.of("max_age", (&there.max_age, &wanted.max_age), age);
    for (setting, there, wanted) in [
        ("max_bytes", there.max_bytes, wanted.max_bytes),
        ("max_msgs", there.max_messages, wanted.max_messages),
        ("max_msgs_per_subject", there.max_messages_per_subject, wanted.max_messages_per_subject),
        ("max_msg_size", there.max_message_size.into(), wanted.max_message_size.into()),
    ] {
        // 0 and -1 are both no limit.
        comparison.of(setting, (&there.max(0), &wanted.max(0)), |value| limit(*value));
    }
    let window = (&there.duplicate_window, &wanted.duplicate_window);
    comparison.of("duplicate_window", window, age);
    let replicas = (&there.num_replicas, &wanted.num_replicas);
    comparison.of("num_replicas", replicas, ToString::to_string);
    comparison.of("allow_direct", (&there.allow_direct, &wanted.allow_direct), ToString::to_string);
    comparison.differences
}

/// The stream `there` with what is declared; everything else as it is.
pub(super) fn patched(there: &Config, wanted: &Config) -> Config {
    let wanted = wanted.clone();
    Config {
        subjects: wanted.subjects,
        storage: wanted.storage,
        retention: wanted.retention,
        discard: wanted.discard,
        max_age: wanted.max_age,
        max_bytes: wanted.max_bytes,
        max_messages: wanted.max_messages,
        max_messages_per_subject: wanted.max_messages_per_subject,
        max_message_size: wanted.max_message_size,
        duplicate_window: wanted.duplicate_window,
        num_replicas: wanted.num_replicas,
        allow_direct: wanted.allow_direct,
        ..there.clone()
    }
}
