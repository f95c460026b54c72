//! Read your writes: a query waits until its read model has taken in what the client has written.
//!
//! The answer to a command says which position of the log it reached. A query that names it waits
//! until the read model has passed it, and no longer than it is told to. Where this process keeps all
//! of the read model it hears of that in memory. Otherwise one task asks for all waiting queries of
//! the process at once ([`asking`]), so that many of them cost no more than one.
//!
//! A query for one key is not answered while an event of that key that it asks for is parked: the
//! read model has passed it, and yet does not show it.

mod asking;

use std::time::Duration;

use eventstore::Position;
use eventstore::answer::within;
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};

use crate::Projection;
use crate::engine::Reached;
use asking::{Passed, Waiting};

/// How long a query relies on what this process hears in memory, before it has the database asked.
const IN_MEMORY: Duration = Duration::from_millis(100);

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
    /// Some of its slots, or all, are kept by no process.
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

impl Freshness {
    /// For queries in a process that keeps what `reached` tells of, perhaps nothing.
    #[must_use]
    pub fn new(pool: PgPool, reached: Reached) -> Self {
        let (waiting, asked) = mpsc::unbounded_channel();
        tokio::spawn(asking::ask_for_all(pool.clone(), asked));
        Self { pool, reached, waiting }
    }

    /// Waits until `projection` has passed `position`, at most for `limit`. A query for one key says
    /// which: it is not answered while an event of that key up to `position` is parked.
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
        // Everything is as fresh as the empty log.
        if position == Position::START {
            return Ok(());
        }
        let model = projection.model();
        let passed = self.pass(projection, &model, key, position);
        if let Ok(Passed::Wholly) = tokio::time::timeout(limit, passed).await {
            return Ok(());
        }
        match self.diagnose(projection, &model, key, position).await? {
            Some(not_yet) => Err(FreshnessError::NotYet(not_yet)),
            None => Ok(()),
        }
    }

    /// Waits for what is heard here, and for what the database says if that comes first.
    async fn pass(
        &self,
        projection: &Projection,
        model: &str,
        key: Option<&str>,
        position: Position,
    ) -> Passed {
        let asked = async {
            if self.reached.tells(model, key.is_some()) {
                tokio::time::sleep(IN_MEMORY).await;
            }
            self.ask(projection, model, key, position).await
        };
        tokio::select! {
            biased;
            () = self.reached.wait(model, position, key.is_some()) => Passed::Wholly,
            passed = asked => passed,
        }
    }

    async fn ask(
        &self,
        projection: &Projection,
        model: &str,
        key: Option<&str>,
        position: Position,
    ) -> Passed {
        let (passed, told) = oneshot::channel();
        let waiting = Waiting {
            model: model.to_owned(),
            types: projection.reads,
            key: key.map(ToOwned::to_owned),
            position,
            passed,
        };
        if self.waiting.send(waiting).is_ok()
            && let Ok(passed) = told.await
        {
            return passed;
        }
        std::future::pending().await
    }

    /// Why `projection` cannot be queried yet; nothing if it can by now.
    async fn diagnose(
        &self,
        projection: &Projection,
        model: &str,
        key: Option<&str>,
        asked: Position,
    ) -> Result<Option<NotYet>, sqlx::Error> {
        let row = sqlx::query!(
            r#"
            SELECT (SELECT max(e.position) FROM eventstore.events AS e) AS head,
                   min(s.position) AS position,
                   bool_or(s.paused) AS paused,
                   bool_and(EXISTS (
                       SELECT 1 FROM projections.workers AS w
                       WHERE w.id = s.owner AND w.expires_at > clock_timestamp()
                   )) AS kept,
                   bool_or(EXISTS (
                       SELECT 1 FROM projections.parked_events AS p
                       WHERE p.generation = g.id AND p.key = $2 AND p.position <= $3
                   )) AS parked
            FROM projections.generations AS g
            JOIN projections.slots AS s ON s.generation = g.id
            WHERE g.model = $1 AND g.state = 'live'
            "#,
            model,
            key,
            asked.get(),
        );
        let row = within(row.fetch_one(&self.pool)).await?;
        let head = Position::new(row.head.unwrap_or_default());
        let position = row.position.map(Position::new);
        let reason = match position {
            _ if asked > head => Reason::BeyondTheLog,
            None => Reason::InTheMaking,
            Some(_) if row.parked == Some(true) => Reason::Parked,
            Some(position) if position >= asked => return Ok(None),
            Some(_) if row.paused == Some(true) => Reason::Paused,
            Some(_) if row.kept == Some(false) => Reason::Abandoned,
            Some(_) => Reason::Behind,
        };
        Ok(Some(NotYet { name: projection.name, asked, position, head, reason }))
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
