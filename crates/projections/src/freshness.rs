//! Read your writes: a query waits until its read model has taken in what the client has written.
//!
//! The answer to a command says which position of the log it reached. A query that names it waits
//! until the read model has passed it, and no longer than it is told to. Where this process keeps all
//! of the read model it hears of that in memory. Otherwise one task asks for all waiting queries of
//! the process at once, often at first and then less, so that many of them cost no more than one.

use std::collections::HashMap;
use std::time::Duration;

use eventstore::Position;
use eventstore::answer::within;
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::Projection;
use crate::engine::Reached;

/// How long it is relied on what this process hears in memory alone.
const IN_MEMORY: Duration = Duration::from_millis(100);

/// The shortest and the longest pause between two looks.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(25));

/// How far a read model may be behind for it to be looked whether that is of any concern to it.
const CLOSE: i64 = 10_000;

/// The way to wait; clones share the task that asks.
#[derive(Debug, Clone)]
pub struct Freshness {
    pool: PgPool,
    reached: Reached,
    waiting: mpsc::UnboundedSender<Waiting>,
}

/// A read model has not come as far as was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotYet {
    /// What operators call it.
    pub name: &'static str,
    /// Up to where it was asked for.
    pub asked: Position,
    /// Up to where it has come; nothing if it is only being made.
    pub position: Option<Position>,
    /// Where the log ends.
    pub head: Position,
    /// Why it is not further.
    pub reason: Reason,
}

/// Why a read model is not as far as was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The log itself is not there yet.
    BeyondTheLog,
    /// It is made for the first time.
    InTheMaking,
    /// Somebody paused it.
    Paused,
    /// An event of this very key could not take effect, and waits for people.
    Parked,
    /// No process keeps it.
    Abandoned,
    /// It follows, and needs longer.
    Behind,
}

/// Why a query cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum FreshnessError {
    /// The time to wait is over, or waiting is of no use.
    #[error("{} has not come as far as {}", .0.name, .0.asked)]
    NotYet(NotYet),
    /// The database did not answer.
    #[error("ask how far a read model is")]
    Database(#[from] sqlx::Error),
}

#[derive(Debug)]
struct Waiting {
    model: String,
    types: String,
    position: Position,
    passed: oneshot::Sender<()>,
}

impl Freshness {
    /// For queries in a process that keeps what `reached` tells of, perhaps nothing.
    #[must_use]
    pub fn new(pool: PgPool, reached: Reached) -> Self {
        let (waiting, asked) = mpsc::unbounded_channel();
        tokio::spawn(ask_for_all(pool.clone(), asked));
        Self { pool, reached, waiting }
    }

    /// Waits until `projection` has passed `position`, at most for `limit`. A query for one key says
    /// which: it is not answered while an event of that key is parked.
    ///
    /// # Errors
    /// [`FreshnessError::NotYet`] says how far it is and why.
    pub async fn wait(
        &self,
        projection: &Projection,
        key: Option<&str>,
        position: Position,
        limit: Duration,
    ) -> Result<(), FreshnessError> {
        let model = projection.model();
        let passed = tokio::time::timeout(limit, self.pass(projection, &model, position)).await;
        let may_be_parked = self.reached.of(&model).is_none() || self.reached.has_parked(&model);
        match (passed, key) {
            (Ok(()), Some(key)) if may_be_parked && self.is_parked(&model, key).await? => {
                let not_yet = self.diagnose(projection, &model, position).await?;
                Err(FreshnessError::NotYet(NotYet { reason: Reason::Parked, ..not_yet }))
            }
            (Ok(()), _) => Ok(()),
            (Err(_elapsed), _) => {
                let not_yet = self.diagnose(projection, &model, position).await?;
                Err(FreshnessError::NotYet(not_yet))
            }
        }
    }

    async fn pass(&self, projection: &Projection, model: &str, position: Position) {
        if self.reached.of(model).is_some() {
            let waited = self.reached.wait(model, position);
            if tokio::time::timeout(IN_MEMORY, waited).await.is_ok() {
                return;
            }
        }
        let (passed, told) = oneshot::channel();
        let types = projection.reads.join(",");
        let waiting = Waiting { model: model.to_owned(), types, position, passed };
        if self.waiting.send(waiting).is_err() || told.await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn is_parked(&self, model: &str, key: &str) -> Result<bool, sqlx::Error> {
        let parked = sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT 1
                FROM projections.generations AS g
                JOIN projections.parked_keys AS p ON p.generation = g.id AND p.key = $2
                WHERE g.model = $1 AND g.state = 'live'
            ) AS "parked!"
            "#,
            model,
            key,
        );
        within(parked.fetch_one(&self.pool)).await
    }

    async fn diagnose(
        &self,
        projection: &Projection,
        model: &str,
        position: Position,
    ) -> Result<NotYet, sqlx::Error> {
        let row = sqlx::query!(
            r#"
            SELECT (SELECT max(e.position) FROM eventstore.events AS e) AS head,
                   min(s.position) AS position,
                   bool_or(s.paused) AS paused,
                   bool_and(EXISTS (
                       SELECT 1 FROM projections.workers AS w
                       WHERE w.id = s.owner AND w.expires_at > clock_timestamp()
                   )) AS kept
            FROM projections.generations AS g
            JOIN projections.slots AS s ON s.generation = g.id
            WHERE g.model = $1 AND g.state = 'live'
            "#,
            model,
        );
        let row = within(row.fetch_one(&self.pool)).await?;
        let head = Position::new(row.head.unwrap_or_default());
        let reason = match row.position {
            _ if position > head => Reason::BeyondTheLog,
            None => Reason::InTheMaking,
            Some(_) if row.paused == Some(true) => Reason::Paused,
            Some(_) if row.kept == Some(false) => Reason::Abandoned,
            Some(_) => Reason::Behind,
        };
        let (name, reached) = (projection.name, row.position.map(Position::new));
        Ok(NotYet { name, asked: position, position: reached, head, reason })
    }
}

impl Reason {
    /// Its name for programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BeyondTheLog => "beyond-the-log",
            Self::InTheMaking => "in-the-making",
            Self::Paused => "paused",
            Self::Parked => "parked",
            Self::Abandoned => "abandoned",
            Self::Behind => "behind",
        }
    }
}

/// Asks for all who wait, as long as anybody does.
async fn ask_for_all(pool: PgPool, mut asked: mpsc::UnboundedReceiver<Waiting>) {
    let mut waiting: HashMap<i32, Waiting> = HashMap::new();
    let mut next = 0;
    let mut pause = PAUSES.0;
    loop {
        if waiting.is_empty() {
            let Some(first) = asked.recv().await else { return };
            waiting.insert(next, first);
            next = next.wrapping_add(1);
            pause = PAUSES.0;
        }
        while let Ok(another) = asked.try_recv() {
            waiting.insert(next, another);
            next = next.wrapping_add(1);
            pause = PAUSES.0;
        }
        waiting.retain(|_, waiting| !waiting.passed.is_closed());
        match passed(&pool, &waiting).await {
            Ok(passed) => {
                for number in passed {
                    if let Some(waiting) = waiting.remove(&number) {
                        let _ = waiting.passed.send(());
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "could not ask how far read models are"),
        }
        if !waiting.is_empty() {
            let until = Instant::now() + pause;
            pause = (pause * 2).min(PAUSES.1);
            if let Ok(Some(another)) = tokio::time::timeout_at(until, asked.recv()).await {
                waiting.insert(next, another);
                next = next.wrapping_add(1);
                pause = PAUSES.0;
            }
        }
    }
}

/// Which of those who wait need not any more: what they wait for has passed, or what is missing is of
/// no concern to their read model.
async fn passed(pool: &PgPool, waiting: &HashMap<i32, Waiting>) -> Result<Vec<i32>, sqlx::Error> {
    let numbers: Vec<_> = waiting.keys().copied().collect();
    let models: Vec<_> = waiting.values().map(|waiting| waiting.model.as_str()).collect();
    let types: Vec<_> = waiting.values().map(|waiting| waiting.types.as_str()).collect();
    let positions: Vec<_> = waiting.values().map(|waiting| waiting.position.get()).collect();
    let passed = sqlx::query_scalar!(
        r#"
        SELECT w.number AS "number!"
        FROM unnest($1::integer[], $2::text[], $3::text[], $4::bigint[]) AS w (number, model, types, position)
        CROSS JOIN LATERAL (
            SELECT min(s.position) AS position
            FROM projections.generations AS g
            JOIN projections.slots AS s ON s.generation = g.id
            WHERE g.model = w.model AND g.state = 'live'
        ) AS live
        WHERE live.position >= w.position OR (
            w.position - live.position <= $5
            AND w.position <= (SELECT max(e.position) FROM eventstore.events AS e)
            AND NOT EXISTS (
                SELECT 1 FROM eventstore.events AS e
                WHERE e.position > live.position AND e.position <= w.position
                  AND e.type = ANY (string_to_array(w.types, ','))
            )
        )
        "#,
        &numbers,
        &models as _,
        &types as _,
        &positions,
        CLOSE,
    );
    within(passed.fetch_all(pool)).await
}
