//! What must be true afterwards.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::stream::Stream;
use eventstore::{EventStore, Outbound, OutboxPlace, PageLimit, Position};
use futures_util::StreamExt;
use sqlx::PgPool;
use uuid::Uuid;

use crate::effects::CONSUMERS;

/// A message that the public must be told of.
pub(crate) struct Told {
    id: Uuid,
    key: String,
}

/// What the public must be told of, in order.
pub(crate) async fn truth(store: &EventStore) -> Vec<Told> {
    let limit = PageLimit { events: 1_000, bytes: 4 * 1024 * 1024 };
    let mut truth = Vec::new();
    let mut after = OutboxPlace::after(Position::START);
    loop {
        let page = store.read_outbound(after, limit).await.expect("the outbox");
        if page.items.is_empty() {
            return truth;
        }
        truth.extend(page.items.into_iter().map(|item| match item {
            Outbound::Event { event, .. } => {
                Told { id: event.id.get(), key: event.stream.to_string() }
            }
            Outbound::Message(message) => Told { id: message.id, key: message.stream.to_string() },
        }));
        after = page.reached;
    }
}

/// The ids of all messages of `stream`, in its order.
pub(crate) async fn of_stream(stream: &Stream) -> Vec<Uuid> {
    let last = stream.cached_info().state.last_sequence;
    let config = OrderedConfig { headers_only: true, ..OrderedConfig::default() };
    let consumer = stream.create_consumer(config).await.expect("a reader of the stream");
    let mut messages = consumer.messages().await.expect("the messages of the stream");
    let mut ids = Vec::new();
    for sequence in 1..=last {
        let message = tokio::time::timeout(Duration::from_secs(30), messages.next()).await;
        let message = message.expect("a message in time").expect("a message").expect("a message");
        let info = message.info().expect("its sequence");
        assert_eq!(info.stream_sequence, sequence, "the stream has no gap");
        let id = message.headers.as_ref().and_then(|headers| headers.get("ce-id"));
        ids.push(id.expect("ce-id").as_str().parse().expect("an id"));
    }
    ids
}

/// All that was seen, against what is true.
pub(crate) struct Audit<'a> {
    pub(crate) seed: u64,
    pub(crate) truth: &'a [Told],
    pub(crate) stream: Vec<Uuid>,
    pub(crate) subscriber: Vec<Uuid>,
    pub(crate) pool: &'a PgPool,
}

/// How what somebody saw differs from what is true.
#[derive(Debug, Default)]
struct Differences {
    duplicates: usize,
    losses: usize,
    reorders: usize,
    strangers: usize,
    first: Option<String>,
}

impl Audit<'_> {
    /// Answers with figures.
    ///
    /// # Panics
    /// Anything differs.
    pub(crate) async fn check(self) -> String {
        let mut all = Differences::default();
        all.add("the stream", compare(self.truth, &self.stream, |_| ""));

        // What is there again is the same message for whoever goes by the ids.
        let mut known = HashSet::new();
        let distinct: Vec<Uuid> =
            self.subscriber.iter().copied().filter(|id| known.insert(*id)).collect();
        let again = self.subscriber.len() - distinct.len();
        all.add("the subscriber", compare(self.truth, &distinct, |told| &told.key));

        let mut effects = 0;
        for (name, _) in CONSUMERS {
            let seen = "SELECT message_id FROM drill.effects WHERE consumer = $1 ORDER BY number";
            let seen: Vec<Uuid> =
                sqlx::query_scalar(seen).bind(name).fetch_all(self.pool).await.expect("effects");
            effects += seen.len();
            all.add(name, compare(self.truth, &seen, |told| &told.key));
        }
        let (held, dead): (i64, i64) = sqlx::query_as(
            "SELECT count(*), count(*) FILTER (WHERE was_dead)
             FROM (SELECT bool_or(is_dead) AS was_dead
                   FROM drill.held GROUP BY consumer, message_id) AS letter",
        )
        .fetch_one(self.pool)
        .await
        .expect("what was held");
        let Differences { duplicates, losses, reorders, strangers, first } = all;
        let messages = self.truth.len();
        let told = format!(
            "{messages} messages in the stream and at the subscriber ({again} of them again after \
             the stream lost its end), {effects} effects of {} consumers, {held} messages held and \
             redriven, {dead} of them dead before; {duplicates} duplicates, {losses} losses, \
             {reorders} reorders",
            CONSUMERS.len(),
        );
        if let Some(first) = first {
            panic!("{first}; {strangers} strangers; {told}; again with: --seed {}", self.seed);
        }
        told
    }
}

impl Differences {
    fn add(&mut self, whose: &str, other: Self) {
        self.duplicates += other.duplicates;
        self.losses += other.losses;
        self.reorders += other.reorders;
        self.strangers += other.strangers;
        let first = other.first.map(|first| format!("{whose}: {first}"));
        self.first = self.first.take().or(first);
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        self.first.get_or_insert_with(what);
    }
}

/// Looks for each of `truth` in `seen`: once, and in order within each of `key_of`.
fn compare<'a>(
    truth: &'a [Told],
    seen: &[Uuid],
    key_of: impl Fn(&'a Told) -> &'a str,
) -> Differences {
    let places: HashMap<Uuid, (usize, &str)> =
        truth.iter().enumerate().map(|(place, told)| (told.id, (place, key_of(told)))).collect();
    let mut differences = Differences::default();
    let mut known = HashSet::new();
    let mut last: HashMap<&str, usize> = HashMap::new();
    for (number, id) in seen.iter().enumerate() {
        let Some((place, key)) = places.get(id) else {
            differences.strangers += 1;
            differences.note(|| format!("{id}, number {number}, was never written"));
            continue;
        };
        if !known.insert(*id) {
            differences.duplicates += 1;
            differences.note(|| {
                format!("message {place}, {id} of {}, again at {number}", truth[*place].key)
            });
            continue;
        }
        if let Some(before) = last.insert(key, *place).filter(|before| before > place) {
            differences.reorders += 1;
            differences.note(|| {
                format!("message {place}, {id} of {}, behind {before}", truth[*place].key)
            });
        }
    }
    differences.losses = truth.len() - known.len();
    if let Some((place, told)) =
        truth.iter().enumerate().find(|(_, told)| !known.contains(&told.id))
    {
        differences.note(|| format!("message {place}, {} of {}, is missing", told.id, told.key));
    }
    differences
}
