//! The stream and its consumers, as declared and as they are.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType};
use relay::declared::{Kind, Standing};
use relay::{ApplyError, ConsumerConfig, Declared, PublisherConfig, StreamLimits};

use crate::consumers::Plan as Failures;
use crate::world::{SUBJECT, World};

impl World {
    /// What the publisher and the consumer of the tests declare.
    pub(crate) fn declared(&self) -> Declared {
        let publisher = PublisherConfig::new(self.url.parse().unwrap(), self.namespace.clone());
        let mut consumer = ConsumerConfig::new("effects", self.namespace.clone(), [SUBJECT]);
        consumer.ack_wait = Duration::from_secs(2);
        Declared { publisher, consumers: vec![consumer] }
    }
}

#[tokio::test]
async fn what_is_missing_is_shown_and_made() {
    let world = World::new().await;
    let mut declared = world.declared();
    declared.publisher.limits = StreamLimits {
        max_bytes: NonZeroU64::new(1 << 30),
        max_age: Some(Duration::from_mins(1)),
        max_message_bytes: NonZeroU32::new(1 << 20),
    };
    let plan = declared.plan().await.unwrap();
    assert!(plan.objects.iter().all(|object| object.standing == Standing::Missing), "{plan}");
    assert_eq!(plan.objects.len(), 2);
    assert_eq!(declared.apply().await.unwrap(), plan, "it says what it did");
    let after = declared.plan().await.unwrap();
    assert!(!after.has_drift() && after.undeclared.is_empty(), "{after}");
    let config = world.stream().await.cached_info().config.clone();
    assert_eq!((config.max_bytes, config.max_message_size), (1 << 30, 1 << 20));
    assert_eq!(config.duplicate_window, Duration::from_mins(1), "ids no longer than messages");
    assert_eq!(declared.apply().await.unwrap(), after, "nothing is left to do");
}

/// What a relay and a consumer make by themselves is what is declared.
#[tokio::test]
async fn who_starts_on_nothing_makes_what_is_declared() {
    let world = World::with_effects().await;
    let mut publisher = world.publisher();
    publisher.publishes().await;
    world.append(2).await;
    let consumer = world.consumer(Failures::new());
    world.takes_effect().await;
    let plan = world.declared().plan().await.unwrap();
    assert!(!plan.has_drift(), "{plan}");
    publisher.stop().await;
    consumer.stop().await;
}

#[tokio::test]
async fn drift_is_shown_left_alone_by_who_runs_and_changed_by_apply() {
    let world = World::with_effects().await;
    let declared = world.declared();
    declared.apply().await.unwrap();
    let context = world.context().await;
    let made = world.stream().await.cached_info().config.clone();
    let changed = Config {
        allow_direct: false,
        max_messages: 1_000,
        duplicate_window: Duration::from_secs(7),
        description: Some("an operator's".to_owned()),
        ..made
    };
    context.update_stream(&changed).await.unwrap();
    let durable = pull::Config {
        durable_name: Some("effects".to_owned()),
        filter_subject: world.namespace.all_subjects(),
        ack_wait: Duration::from_secs(3),
        max_ack_pending: 7,
        ..pull::Config::default()
    };
    world.stream().await.update_consumer(durable).await.unwrap();

    let mut publisher = world.publisher();
    publisher.publishes().await;
    world.append(20).await;
    let consumer = world.consumer(Failures::new());
    world.takes_effect().await;
    publisher.stop().await;
    consumer.stop().await;

    let plan = declared.plan().await.unwrap();
    let [stream, effects] = plan.objects.as_slice() else { panic!("two: {plan}") };
    let settings = |standing: &Standing| match standing {
        Standing::Differs(differences) => differences.iter().map(|one| one.setting).collect(),
        Standing::AsDeclared | Standing::Missing => Vec::new(),
    };
    assert_eq!(stream.kind, Kind::Stream);
    assert_eq!(settings(&stream.standing), ["max_msgs", "duplicate_window", "allow_direct"]);
    assert_eq!(settings(&effects.standing), ["ack_wait", "max_ack_pending", "filter_subjects"]);
    assert!(plan.to_string().contains("    max_msgs: 1000 -> unlimited\n"), "{plan}");

    declared.apply().await.unwrap();
    let after = declared.plan().await.unwrap();
    assert!(!after.has_drift(), "{after}");
    let kept = world.stream().await.cached_info().clone();
    assert_eq!(kept.config.description, changed.description, "what nobody declared stays");
    assert_eq!(kept.state.messages, 10, "and so do the messages");
}

#[tokio::test]
async fn what_cannot_be_changed_in_place_is_refused_and_nothing_is_changed() {
    let world = World::new().await;
    let made = Config {
        name: world.namespace.stream_name(),
        subjects: vec![world.namespace.all_subjects()],
        storage: StorageType::Memory,
        retention: RetentionPolicy::WorkQueue,
        ..Config::default()
    };
    world.context().await.create_stream(&made).await.unwrap();
    let before = world.stream().await.cached_info().config.clone();

    let declared = world.declared();
    let plan = declared.plan().await.unwrap();
    assert!(plan.to_string().contains("! cannot be changed in place"), "{plan}");
    let refused = declared.apply().await.unwrap_err();
    let ApplyError::Impossible(sentences) = &refused else { panic!("{refused}") };
    assert_eq!(sentences.len(), 2, "storage and retention: {refused}");
    assert!(sentences[0].contains("storage: memory -> file: "), "{refused}");
    assert!(sentences[0].contains("delete the stream"), "it says what to do: {refused}");
    assert_eq!(world.stream().await.cached_info().config, before);
    assert_eq!(declared.plan().await.unwrap(), plan, "no consumer was made either");

    // A consumer cannot be told to begin elsewhere.
    world.context().await.delete_stream(&made.name).await.unwrap();
    declared.apply().await.unwrap();
    let mut other = declared.clone();
    other.consumers[0].start = relay::Start::New;
    let refused = other.apply().await.unwrap_err().to_string();
    assert!(refused.contains("consumer effects, deliver_policy: all -> new: "), "{refused}");
}

#[tokio::test]
async fn what_the_broker_refuses_is_said() {
    let world = World::new().await;
    let mut declared = world.declared();
    declared.apply().await.unwrap();
    declared.publisher.replicas = 3.try_into().unwrap();
    let refused = declared.apply().await.unwrap_err();
    assert!(matches!(&refused, ApplyError::Refused { kind: Kind::Stream, .. }), "{refused}");
}

#[tokio::test]
async fn a_consumer_of_somebody_else_is_shown_and_left() {
    let world = World::new().await;
    let declared = world.declared();
    declared.apply().await.unwrap();
    let durable_name = Some("somebody".to_owned());
    let foreign = pull::Config { durable_name, ..pull::Config::default() };
    world.stream().await.create_consumer(foreign).await.unwrap();
    let plan = declared.plan().await.unwrap();
    assert!(!plan.has_drift(), "it is no drift: {plan}");
    assert!(
        plan.to_string().contains("? consumer somebody (durable, 0 messages behind)"),
        "{plan}"
    );
    declared.apply().await.unwrap();
    let left = declared.plan().await.unwrap().undeclared;
    assert_eq!(left.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["somebody"]);
}
