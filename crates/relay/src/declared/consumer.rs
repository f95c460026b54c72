//! A durable consumer, as it is declared.

use async_nats::jetstream::consumer::{AckPolicy, Config, DeliverPolicy};

use super::Difference;
use super::difference::{Comparison, age, limit, list, name};
use crate::ConsumerConfig;
use crate::consumer::Start;

const PLACE: &str = "the broker cannot change where a consumer begins, nor how it is told: stop \
     its workers, delete the consumer, and start them; what had taken effect is recognised by its \
     marks, as far as those are kept";

/// The durable consumer that `config` asks for.
pub(crate) fn consumer(config: &ConsumerConfig) -> Config {
    let subjects = config.subjects.iter().map(|subject| config.namespace.subject(subject));
    Config {
        durable_name: Some(config.name.clone()),
        deliver_policy: match config.start {
            Start::First => DeliverPolicy::All,
            Start::New => DeliverPolicy::New,
        },
        ack_policy: AckPolicy::Explicit,
        ack_wait: config.ack_wait,
        max_ack_pending: config.in_flight.get().into(),
        filter_subjects: subjects.collect(),
        ..Config::default()
    }
}

/// Where the consumer `there` is not as `wanted`.
pub(crate) fn differences(there: &Config, wanted: &Config) -> Vec<Difference> {
    let mut comparison = Comparison::default();
    let kind = (&there.deliver_subject.is_some(), &wanted.deliver_subject.is_some());
    let kind_of = |is_push: &bool| if *is_push { "push" } else { "pull" }.to_owned();
    comparison.or_impossible("kind", kind, kind_of, Some(PLACE));
    let deliver = (&there.deliver_policy, &wanted.deliver_policy);
    comparison.or_impossible("deliver_policy", deliver, name, Some(PLACE));
    let acknowledge = (&there.ack_policy, &wanted.ack_policy);
    comparison.or_impossible("ack_policy", acknowledge, name, Some(PLACE));
    let replay = (&there.replay_policy, &wanted.replay_policy);
    comparison.or_impossible("replay_policy", replay, name, Some(PLACE));
    comparison.of("ack_wait", (&there.ack_wait, &wanted.ack_wait), age);
    comparison.of("backoff", (&there.backoff, &wanted.backoff), name);
    let pending = (&there.max_ack_pending, &wanted.max_ack_pending);
    comparison.of("max_ack_pending", pending, |value| limit(*value));
    // 0 and -1 are both no limit.
    let deliveries = (&there.max_deliver.max(0), &wanted.max_deliver.max(0));
    comparison.of("max_deliver", deliveries, |value| limit(*value));
    comparison.of("filter_subjects", (&filters(there), &filters(wanted)), |values| list(values));
    let headers_only = (&there.headers_only, &wanted.headers_only);
    comparison.of("headers_only", headers_only, ToString::to_string);
    let inactive = (&there.inactive_threshold, &wanted.inactive_threshold);
    comparison.of("inactive_threshold", inactive, age);
    comparison.differences
}

/// The consumer `there` with what is declared; everything else as it is.
pub(super) fn patched(there: &Config, wanted: &Config) -> Config {
    let wanted = wanted.clone();
    Config {
        ack_wait: wanted.ack_wait,
        backoff: wanted.backoff,
        max_ack_pending: wanted.max_ack_pending,
        max_deliver: wanted.max_deliver,
        filter_subject: wanted.filter_subject,
        filter_subjects: wanted.filter_subjects,
        headers_only: wanted.headers_only,
        inactive_threshold: wanted.inactive_threshold,
        ..there.clone()
    }
}

/// What it reads, in one order: the broker may tell a single filter in another field.
fn filters(config: &Config) -> Vec<String> {
    let mut filters = config.filter_subjects.clone();
    filters.extend(Some(config.filter_subject.clone()).filter(|filter| !filter.is_empty()));
    filters.sort();
    filters
}
