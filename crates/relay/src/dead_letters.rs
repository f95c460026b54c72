//! Messages that could not take effect, held in order until they can (law 8).
//!
//! A message that fails is held in `relay.dead_letters` and marked in the same transaction, so the
//! stream goes on; messages that come later for the same key are held behind it. What is held is
//! tried again by itself, with growing pauses, and each attempt is counted before it is made. After
//! the last one the letter is dead: it waits, with those behind it, until somebody says what shall
//! become of it. Whatever people do here is recorded in `relay.interventions`.
//!
//! A publisher holds in the same way what it cannot publish, as a consumer named like its cursor,
//! `relay:<stream>`. Its letters are in the order of the log; they are made from it at each attempt.
//!
//! This is what operators and their tools use; consumers and publishers hold and try again by
//! themselves.

mod driving;
mod holding;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use eventstore::answer;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::consumer::Nature;
use crate::{Namespace, publisher};

pub(crate) use driving::{Letter, begin, due_keys, failed, lock, returned, settled};
pub(crate) use holding::{Cause, Held, HoldError, held_keys, hold};

/// How often a deadlock with those who drive letters is tried again.
const DEADLOCKS: u32 = 10;

/// What is to become of a held message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is tried again by itself.
    Retrying,
    /// It is not tried again until somebody says so.
    Dead,
    /// It is behind another one of its key.
    Waiting,
    /// A publisher has sent it, or is about to, and does not know yet whether it arrived.
    Sending,
}

impl State {
    /// Its name in the database and for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retrying => "retrying",
            Self::Dead => "dead",
            Self::Waiting => "waiting",
            Self::Sending => "sending",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "retrying" => Self::Retrying,
            "waiting" => Self::Waiting,
            "sending" => Self::Sending,
            _ => Self::Dead,
        }
    }
}

/// A message that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Rises in the order in which the messages of a key take effect; those of a publisher are in
    /// the order of the log.
    pub id: i64,
    /// Whose message it is.
    pub consumer: String,
    /// Within what its order matters.
    pub key: String,
    /// The message's own id.
    pub message_id: Uuid,
    /// What is to become of it.
    pub state: State,
    /// How often it was tried.
    pub attempts: i32,
    /// When it is tried again by itself.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Why the last attempt failed; nothing if it was never tried.
    pub error: Option<String>,
    /// Since when it is held.
    pub held_at: DateTime<Utc>,
    /// When it was last tried.
    pub last_attempt_at: Option<DateTime<Utc>>,
    /// What it was sent on.
    pub subject: String,
    /// Its headers: an object of arrays of text; empty if a publisher holds it.
    pub headers: String,
    /// Its body; not text if it is no message of the contract. Empty if it is an event that a
    /// publisher holds: it is made from the log when it is sent.
    pub body: Vec<u8>,
}

/// Which dead letters are meant; parts that are given must all hold.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Only those of this consumer.
    pub consumer: Option<String>,
    /// Only those of this key.
    pub key: Option<String>,
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those with a greater id.
    pub after: i64,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
pub enum InterventionError {
    /// There is no such letter; it may have taken effect meanwhile.
    #[error("there is no dead letter {id}: it has taken effect, was discarded, or never was")]
    Unknown {
        /// Which.
        id: i64,
    },
    /// Another letter of the key comes first.
    #[error("dead letter {id} waits behind {first} of the same key: {first} comes first")]
    Behind {
        /// Which.
        id: i64,
        /// The first one of the key.
        first: i64,
    },
    /// It may be in the stream by now.
    #[error("dead letter {id} is on its way to the stream: look again in a moment")]
    Sending {
        /// Which.
        id: i64,
    },
    /// The database did not answer.
    #[error("ask the database")]
    Database(#[from] sqlx::Error),
}

/// At most `limit` of the letters of `selection`, in the order of their ids.
///
/// # Errors
/// The database cannot be reached.
pub async fn list(
    pool: &PgPool,
    selection: &Selection,
    limit: u16,
) -> Result<Vec<DeadLetter>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        SELECT id, consumer, key, message_id, state, attempts, next_attempt_at, error, held_at,
               last_attempt_at, subject, headers::text AS "headers!", body
        FROM relay.dead_letters
        WHERE id > $1
          AND state NOT IN ('sent', 'discarded')
          AND ($2::text IS NULL OR consumer = $2)
          AND ($3::text IS NULL OR key = $3)
          AND ($4::text IS NULL OR state = $4)
        ORDER BY id
        LIMIT $5
        "#,
        selection.after,
        selection.consumer,
        selection.key,
        selection.state.map(State::as_str),
        i64::from(limit),
    );
    let rows = rows.fetch_all(pool).await?.into_iter();
    Ok(rows
        .map(|row| DeadLetter {
            id: row.id,
            consumer: row.consumer,
            key: row.key,
            message_id: row.message_id,
            state: State::parse(&row.state),
            attempts: row.attempts,
            next_attempt_at: row.next_attempt_at,
            error: row.error,
            held_at: row.held_at,
            last_attempt_at: row.last_attempt_at,
            subject: row.subject,
            headers: row.headers,
            body: row.body,
        })
        .collect())
}

/// The letter `id`.
///
/// # Errors
/// [`InterventionError::Unknown`], or the database cannot be reached.
pub async fn find(pool: &PgPool, id: i64) -> Result<DeadLetter, InterventionError> {
    let one = Selection { after: id - 1, ..Selection::default() };
    let found = list(pool, &one, 1).await?.into_iter().find(|letter| letter.id == id);
    found.ok_or(InterventionError::Unknown { id })
}

/// The ids of what the publisher of `namespace` holds back.
pub(crate) async fn withheld(
    pool: &PgPool,
    namespace: &Namespace,
) -> Result<HashSet<Uuid>, sqlx::Error> {
    let held = sqlx::query_scalar!(
        "SELECT message_id FROM relay.dead_letters WHERE consumer = $1 AND state <> 'sent'",
        publisher::cursor_name(namespace),
    );
    Ok(held.fetch_all(pool).await?.into_iter().collect())
}

/// How many letters each consumer has in each state.
///
/// # Errors
/// The database cannot be reached.
pub async fn count(pool: &PgPool) -> Result<Vec<(String, State, i64)>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        SELECT consumer, state, count(*) AS "letters!"
        FROM relay.dead_letters
        WHERE state NOT IN ('sent', 'discarded')
        GROUP BY consumer, state
        ORDER BY consumer, state
        "#
    );
    let rows = rows.fetch_all(pool).await?.into_iter();
    Ok(rows.map(|row| (row.consumer, State::parse(&row.state), row.letters)).collect())
}

/// Has the letter `id`, the first of its key, tried again now, with all its attempts before it, and
/// those behind it after it. `actor` says who asks.
///
/// # Errors
/// See [`InterventionError`].
pub async fn retry(pool: &PgPool, id: i64, actor: &str) -> Result<(), InterventionError> {
    let mut transaction = answer::begin(pool, "BEGIN").await?;
    lock_first(&mut transaction, id).await?;
    record(&mut transaction, &[id], "retry", actor, None).await?;
    renew(&mut transaction, &[id]).await?;
    transaction.commit().await?;
    Ok(())
}

/// [`retry`] for the first letter of every key, of one consumer or of all, and how many keys
/// that are.
///
/// # Errors
/// The database cannot be reached.
pub async fn retry_all(
    pool: &PgPool,
    consumer: Option<&str>,
    actor: &str,
) -> Result<usize, sqlx::Error> {
    // Whoever drives letters locks those of one key after those of another, in another order.
    let mut deadlocks = 0;
    loop {
        match retry_first(pool, consumer, actor).await {
            Err(error) if Nature::of(&error) == Nature::Conflict && deadlocks < DEADLOCKS => {
                deadlocks += 1;
            }
            done => return done,
        }
    }
}

async fn retry_first(
    pool: &PgPool,
    consumer: Option<&str>,
    actor: &str,
) -> Result<usize, sqlx::Error> {
    let mut transaction = answer::begin(pool, "BEGIN").await?;
    let first = sqlx::query_scalar!(
        r#"
        SELECT letter.id
        FROM relay.dead_letters AS letter
        WHERE letter.state IN ('retrying', 'dead')
          AND ($1::text IS NULL OR letter.consumer = $1)
        ORDER BY letter.id
        FOR UPDATE
        "#,
        consumer,
    );
    let first = first.fetch_all(&mut *transaction).await?;
    record(&mut transaction, &first, "retry", actor, None).await?;
    renew(&mut transaction, &first).await?;
    transaction.commit().await?;
    Ok(first.len())
}

/// Gives the letter `id`, the first of its key, up for ever, because of `reason`; those behind it
/// are tried.
///
/// # Errors
/// See [`InterventionError`].
pub async fn discard(
    pool: &PgPool,
    id: i64,
    reason: &str,
    actor: &str,
) -> Result<(), InterventionError> {
    let mut transaction = answer::begin(pool, "BEGIN").await?;
    lock_first(&mut transaction, id).await?;
    record(&mut transaction, &[id], "discard", actor, Some(reason)).await?;
    sqlx::query!("DELETE FROM relay.dead_letters WHERE id = $1 AND position = 0", id)
        .execute(&mut *transaction)
        .await?;
    // A publisher may come to it again: when the stream lost its end, it reads the log again.
    sqlx::query!(
        "UPDATE relay.dead_letters SET state = 'discarded', next_attempt_at = NULL WHERE id = $1",
        id
    )
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(())
}

/// Makes sure that `id` is the first of its key, and stays so.
async fn lock_first(transaction: &mut PgConnection, id: i64) -> Result<(), InterventionError> {
    let found = sqlx::query!(
        r#"
        SELECT consumer, key, state
        FROM relay.dead_letters
        WHERE id = $1 AND state NOT IN ('sent', 'discarded')
        FOR UPDATE
        "#,
        id
    );
    let found = found.fetch_optional(&mut *transaction).await?;
    let found = found.ok_or(InterventionError::Unknown { id })?;
    if State::parse(&found.state) == State::Sending {
        return Err(InterventionError::Sending { id });
    }
    let first = sqlx::query_scalar!(
        r#"
        SELECT id
        FROM relay.dead_letters
        WHERE consumer = $1 AND key = $2 AND state NOT IN ('sent', 'discarded')
        ORDER BY position, ordinal, id
        LIMIT 1
        "#,
        found.consumer,
        found.key,
    );
    let first = first.fetch_one(transaction).await?;
    if first == id { Ok(()) } else { Err(InterventionError::Behind { id, first }) }
}

async fn record(
    transaction: &mut PgConnection,
    ids: &[i64],
    action: &str,
    actor: &str,
    reason: Option<&str>,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        INSERT INTO relay.interventions (actor, action, consumer, key, message_id, subject, attempts, error, reason)
        SELECT $2, $3, consumer, key, message_id, subject, attempts, error, $4
        FROM relay.dead_letters
        WHERE id = ANY ($1)
        "#,
        ids,
        actor,
        action,
        reason,
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn renew(transaction: &mut PgConnection, ids: &[i64]) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        UPDATE relay.dead_letters
        SET state = 'retrying', attempts = 0, next_attempt_at = clock_timestamp()
        WHERE id = ANY ($1)
        "#,
        ids,
    )
    .execute(transaction)
    .await?;
    Ok(())
}
