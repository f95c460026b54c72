//! What a consumer reads, and how.

use std::num::NonZeroU16;
use std::time::Duration;

use crate::Namespace;

/// What a consumer reads, and how.
#[derive(Debug, Clone)]
pub struct ConsumerConfig {
    /// Its name, with the broker and in the inbox; its place in the stream is kept under it for
    /// ever. Letters, digits, `-` and `_`.
    pub name: String,
    /// The installation it listens to.
    pub namespace: Namespace,
    /// What it reads, without the namespace, for example `ordering.order-placed.v1` or
    /// `ordering.>`; all if empty.
    pub subjects: Vec<String>,
    /// How many messages all copies together have in hand.
    ///
    /// With 1, messages take effect in stream order, whatever crashes and however many copies
    /// run. With more, less time is spent waiting for the broker, but copies work side by side,
    /// and what a crashed copy had in hand comes after [`ConsumerConfig::ack_wait`], behind later
    /// messages.
    pub in_flight: NonZeroU16,
    /// How long the broker waits for a copy that says nothing before it gives its messages to
    /// another. A copy that works on a message says so three times as often.
    pub ack_wait: Duration,
}

impl ConsumerConfig {
    /// `name` reads `subjects` of `namespace`, strictly in order; a crashed copy is waited for
    /// 10 s.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        namespace: Namespace,
        subjects: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            name: name.into(),
            namespace,
            subjects: subjects.into_iter().map(Into::into).collect(),
            in_flight: NonZeroU16::MIN,
            ack_wait: Duration::from_secs(10),
        }
    }
}
