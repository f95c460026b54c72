//! One task asks the database how far read models are, for all queries of the process that wait.
//!
//! It asks as soon as somebody waits, again and again with growing pauses as long as anybody does,
//! and never twice at a time: what comes while an answer is awaited is in the next question. A
//! question looks at each read model once, however many wait for it.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use eventstore::Position;
use eventstore::answer::within;
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// The shortest and the longest pause between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(25));

/// How far behind its place a read model is looked for the next event that is of concern to it.
const CLOSE: i64 = 10_000;

/// A query that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) model: String,
    /// The events that its read model reads.
    pub(super) types: &'static [&'static str],
    /// If it is for one key only.
    pub(super) key: Option<String>,
    pub(super) position: Position,
    pub(super) passed: oneshot::Sender<Passed>,
}

/// How a read model has come as far as was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passed {
    /// It shows everything that was asked for.
    Wholly,
    /// An event of the key that was asked for is parked.
    ExceptForTheKey,
}

/// Those who wait, by numbers of their own.
#[derive(Debug, Default)]
struct Queue {
    waiting: HashMap<i32, Waiting>,
    next: i32,
}

/// Asks for all who wait, as long as anybody does; ends when nobody can ask any more.
pub(super) async fn ask_for_all(pool: PgPool, mut asked: mpsc::UnboundedReceiver<Waiting>) {
    let mut queue = Queue::default();
    let mut pause = PAUSES.0;
    loop {
        queue.waiting.retain(|_, waiting| !waiting.passed.is_closed());
        if queue.waiting.is_empty() {
            let Some(first) = asked.recv().await else { return };
            queue.add(first);
            pause = PAUSES.0;
        }
        while let Ok(another) = asked.try_recv() {
            queue.add(another);
            pause = PAUSES.0;
        }
        match queue.ask(&pool).await {
            Ok(passed) => queue.tell(passed),
            Err(error) => tracing::debug!(%error, "could not ask how far read models are"),
        }
        if !queue.waiting.is_empty() {
            let until = Instant::now() + pause;
            pause = (pause * 2).min(PAUSES.1);
            if let Ok(Some(another)) = tokio::time::timeout_at(until, asked.recv()).await {
                queue.add(another);
                pause = PAUSES.0;
            }
        }
    }
}

impl Queue {
    fn add(&mut self, waiting: Waiting) {
        self.waiting.insert(self.next, waiting);
        self.next = self.next.wrapping_add(1);
    }

    fn tell(&mut self, passed: Vec<(i32, Passed)>) {
        for (number, passed) in passed {
            if let Some(waiting) = self.waiting.remove(&number) {
                let _ = waiting.passed.send(passed);
            }
        }
    }

    /// Which of those who wait need not any more: what they wait for has passed, or what is missing
    /// is of no concern to their read model.
    async fn ask(&self, pool: &PgPool) -> Result<Vec<(i32, Passed)>, sqlx::Error> {
        let by_model: BTreeMap<_, _> = self
            .waiting
            .values()
            .map(|waiting| (waiting.model.as_str(), waiting.types.join(",")))
            .collect();
        let (models, types): (Vec<_>, Vec<_>) = by_model.into_iter().unzip();
        let numbers: Vec<_> = self.waiting.keys().copied().collect();
        let waiting = || self.waiting.values();
        let models_of: Vec<_> = waiting().map(|waiting| waiting.model.as_str()).collect();
        let keys: Vec<_> = waiting().map(|waiting| waiting.key.as_deref()).collect();
        let positions: Vec<_> = waiting().map(|waiting| waiting.position.get()).collect();
        let passed = sqlx::query!(
            r#"
            WITH reached AS MATERIALIZED (
                SELECT g.model, g.id AS generation,
                       -- Up to the next event that is of concern to it, or as far as was looked.
                       greatest(live.position, least(head.position, coalesce(next.position - 1, live.position + $7))) AS position
                FROM unnest($1::text[], $2::text[]) AS asked (model, types)
                JOIN projections.generations AS g ON g.model = asked.model AND g.state = 'live'
                CROSS JOIN LATERAL (
                    SELECT min(s.position) AS position FROM projections.slots AS s WHERE s.generation = g.id
                ) AS live
                CROSS JOIN (
                    SELECT coalesce(max(e.position), 0) AS position FROM eventstore.events AS e
                ) AS head
                LEFT JOIN LATERAL (
                    SELECT e.position
                    FROM eventstore.events AS e
                    WHERE e.position > live.position AND e.position <= live.position + $7
                      AND e.type = ANY (string_to_array(asked.types, ','))
                    ORDER BY e.position
                    LIMIT 1
                ) AS next ON true
            )
            SELECT w.number AS "number!",
                   EXISTS (
                       SELECT 1 FROM projections.parked_events AS p
                       WHERE p.generation = reached.generation AND p.key = w.key AND p.position <= w.position
                   ) AS "parked!"
            FROM unnest($3::integer[], $4::text[], $5::text[], $6::bigint[]) AS w (number, model, key, position)
            JOIN reached ON reached.model = w.model AND reached.position >= w.position
            "#,
            &models as _,
            &types,
            &numbers,
            &models_of as _,
            &keys as _,
            &positions,
            CLOSE,
        );
        let passed = within(passed.fetch_all(pool)).await?.into_iter();
        let how = |parked| if parked { Passed::ExceptForTheKey } else { Passed::Wholly };
        Ok(passed.map(|row| (row.number, how(row.parked))).collect())
    }
}
