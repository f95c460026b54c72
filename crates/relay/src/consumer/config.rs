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
    /// Where it begins when it is new.
    pub start: Start,
    /// Most messages that the broker hands out before the first of them is acknowledged.
    pub in_flight: NonZeroU16,
    /// Most messages that take effect in one transaction.
    pub batch: NonZeroU16,
    /// How many transactions work side by side, each on keys of its own.
    pub parallel: NonZeroU16,
    /// How long the broker waits for a copy that says nothing before it delivers again. A copy
    /// that works on a message says so three times as often.
    pub ack_wait: Duration,
    /// How long a handler may take for one batch before that counts as a failure.
    pub handler_limit: Duration,
    /// How it is known what has taken effect.
    pub marks: Marks,
    /// How often what fails is tried again.
    pub retries: Retries,
    /// How many messages may be held aside, failed or waiting behind a failed one. At the limit
    /// the consumer stands still, loudly: then it is not the messages that are broken.
    pub held_limit: u32,
}

/// Where a consumer begins that the broker does not know yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the first message of the stream.
    First,
    /// With the next one that comes.
    New,
}

/// How it is known which messages have taken effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marks {
    /// A row for each message. Whatever is delivered again changes nothing as long as it is kept:
    /// until somebody [retires](crate::inbox::retire) its day, after which it would take effect again.
    Inbox,
    /// [`SLOTS`] rows for each log, for ever, each with the position up to which the keys of its
    /// slot have taken effect. Only for streams that a [`Publisher`](crate::Publisher) writes: it
    /// needs their order.
    Progress,
}

/// Into how many slots keys fall where [`Marks::Progress`] is used.
pub const SLOTS: u16 = 64;

/// How often, and when, a message that fails is tried again before somebody has to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Attempts in all, the first included.
    pub attempts: u32,
    /// The wait after the first; it doubles, and up to half of it is left to chance.
    pub first: Duration,
    /// The longest wait.
    pub cap: Duration,
}

impl Default for Retries {
    /// Ten attempts within about seven minutes.
    fn default() -> Self {
        Self { attempts: 10, first: Duration::from_secs(1), cap: Duration::from_mins(2) }
    }
}

impl Retries {
    /// How long to wait after so many attempts have failed.
    pub(crate) fn wait_after(&self, attempts: u32) -> Duration {
        let doubled = self.first.saturating_mul(1 << attempts.saturating_sub(1).min(20));
        // Chance keeps what failed together from being tried together again.
        doubled.min(self.cap).mul_f64(rand::random_range(0.5..=1.0))
    }
}

impl ConsumerConfig {
    /// `name` reads `subjects` of `namespace` from the first message on, with a row for each mark.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        namespace: Namespace,
        subjects: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        const fn count(number: u16) -> NonZeroU16 {
            NonZeroU16::MIN.saturating_add(number - 1)
        }
        Self {
            name: name.into(),
            namespace,
            subjects: subjects.into_iter().map(Into::into).collect(),
            start: Start::First,
            in_flight: count(2_048),
            batch: count(500),
            parallel: count(4),
            ack_wait: Duration::from_secs(5),
            handler_limit: Duration::from_secs(30),
            marks: Marks::Inbox,
            retries: Retries::default(),
            held_limit: 10_000,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_half_of_each_is_left_to_chance() {
        let retries = Retries::default();
        for (attempts, longest_s) in [(1, 1.0), (2, 2.0), (7, 64.0), (8, 120.0), (4_000, 120.0)] {
            for _ in 0..100 {
                let wait_s = retries.wait_after(attempts).as_secs_f64();
                assert!((longest_s / 2.0..=longest_s).contains(&wait_s), "{attempts}: {wait_s} s");
            }
        }
    }
}
