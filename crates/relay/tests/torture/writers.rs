//! Those who append while everything happens, and wait when too much is on its way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use eventstore::{
    Append, AppendError, CommandId, EventStore, EventType, ExpectedVersion, Fingerprint, Metadata,
    NewEvent, NewMessage, StreamId,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::roles::{PUBLIC, SUBJECT};

const WRITERS: u64 = 4;
const STREAMS: u32 = 40;

/// With so many messages appended that no consumer is done with, nobody appends more.
const MOST_ON_THE_WAY: u64 = 2_000;

/// What is not public.
const PRIVATE: &str = "drill.stirred";

/// Messages that are no events.
const ASKED: &str = "drill.asked.v1";

/// The writers.
pub(crate) struct Writers {
    writing: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    /// Messages of commands that were acknowledged.
    appended: AtomicU64,
    /// How many of them the slowest consumer is done with.
    settled: AtomicU64,
}

impl Writers {
    pub(crate) fn start(store: &EventStore, seed: u64) -> Self {
        let shared = Arc::<Shared>::default();
        let writing = (0..WRITERS).map(|writer| {
            let random = StdRng::seed_from_u64(seed.wrapping_add(writer));
            tokio::spawn(write(store.clone(), random, Arc::clone(&shared)))
        });
        Self { writing: writing.collect(), shared }
    }

    /// The slowest consumer is done with so many messages.
    pub(crate) fn settled(&self, messages: u64) {
        self.shared.settled.store(messages, Ordering::SeqCst);
    }

    /// Lets each finish its command; answers with how many messages were acknowledged in all.
    pub(crate) async fn finish(self) -> u64 {
        self.shared.is_over.store(true, Ordering::SeqCst);
        for writing in self.writing {
            let ended = tokio::time::timeout(Duration::from_mins(1), writing).await;
            ended.expect("a writer knows within a minute what became of its command").unwrap();
        }
        self.shared.appended.load(Ordering::SeqCst)
    }
}

async fn write(store: EventStore, mut random: StdRng, shared: Arc<Shared>) {
    while !shared.is_over.load(Ordering::SeqCst) {
        let appended = shared.appended.load(Ordering::SeqCst);
        if appended.saturating_sub(shared.settled.load(Ordering::SeqCst)) > MOST_ON_THE_WAY {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        let append = any_append(&mut random);
        let public = append.events.iter().filter(|event| event.subject.is_some()).count();
        let messages = public + append.messages.len();
        // Given again until it is known what became of it, as a client would.
        while let Err(error) = store.append(append.clone()).await {
            let is_passing = match &error {
                AppendError::Unconfirmed { .. } | AppendError::Unavailable { .. } => true,
                // A server that starts up says so.
                AppendError::Refused { source } => source.to_string().contains("database system"),
                _ => false,
            };
            assert!(is_passing, "{error:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        shared.appended.fetch_add(messages as u64, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(random.random_range(0..20))).await;
    }
}

/// 1 to 20 events of a few streams, of which one in six is private, and now and then messages that
/// are none.
fn any_append(random: &mut StdRng) -> Append {
    let command = Uuid::from_u128(random.random());
    let metadata = Metadata {
        actor: "drill".to_owned(),
        tenant: None,
        correlation_id: command,
        causation_id: None,
        trace: None,
    };
    let mut append =
        Append::new(CommandId::new(command), Fingerprint::of(command.as_bytes()), metadata);
    let first = random.random_range(0..STREAMS);
    let streams: Vec<StreamId> =
        (0..random.random_range(1..4)).map(|next| stream(first + next)).collect();
    append.expectations =
        streams.iter().map(|stream| (stream.clone(), ExpectedVersion::Any)).collect();
    for _ in 0..random.random_range(1..=20) {
        let of = streams[random.random_range(0..streams.len())].clone();
        let is_public = random.random_ratio(5, 6);
        let event_type = EventType::new(if is_public { PUBLIC } else { PRIVATE }, 1);
        append.events.push(NewEvent {
            subject: is_public.then(|| SUBJECT.to_owned()),
            ..NewEvent::new(of, event_type, r#"{"a":1}"#)
        });
    }
    if random.random_ratio(1, 5) {
        for _ in 0..random.random_range(1..4) {
            append.messages.push(NewMessage {
                id: Uuid::from_u128(random.random()),
                stream: stream(random.random_range(0..STREAMS)),
                subject: ASKED.to_owned(),
                body: "{}".to_owned(),
            });
        }
    }
    append
}

fn stream(number: u32) -> StreamId {
    StreamId::new(format!("drill.thing-{}", number % STREAMS)).unwrap()
}
