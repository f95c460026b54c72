//! Tries what is held again, key by key, in order.

use std::collections::BTreeMap;

use async_nats::{HeaderMap, Message};
use sqlx::{PgConnection, PgPool};

use super::State;

/// How many letters that wait behind a first one are tried together.
const RUN: i64 = 100;

/// A held message that is tried now.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) id: i64,
    /// This attempt included.
    pub(crate) attempts: i32,
    pub(crate) message: Message,
}

/// The keys of `consumer` whose first letter is due, at most `limit` of them.
pub(crate) async fn due_keys(
    pool: &PgPool,
    consumer: &str,
    limit: u16,
) -> Result<Vec<String>, sqlx::Error> {
    let keys = sqlx::query_scalar!(
        r#"
        SELECT first.key
        FROM (
            SELECT DISTINCT ON (letter.key) letter.key, letter.id, letter.state, letter.next_attempt_at
            FROM relay.dead_letters AS letter
            WHERE letter.consumer = $1
            ORDER BY letter.key, letter.position, letter.ordinal, letter.id
        ) AS first
        WHERE first.state = 'waiting'
           OR first.state = 'retrying' AND first.next_attempt_at <= clock_timestamp()
        ORDER BY first.id
        LIMIT $2
        "#,
        consumer,
        i64::from(limit),
    );
    keys.fetch_all(pool).await
}

/// Counts an attempt at the first letters of `key`, if they are due, and gives them to the caller:
/// one that failed before alone, and up to `run` that only waited together. Until `pause_s` is over
/// nobody else gets them.
pub(crate) async fn begin(
    pool: &PgPool,
    consumer: &str,
    key: &str,
    run: Option<i64>,
    pause_s: f64,
) -> Result<Vec<Letter>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"
        WITH ahead AS (
            SELECT letter.id, letter.state, letter.next_attempt_at
            FROM relay.dead_letters AS letter
            WHERE letter.consumer = $1 AND letter.key = $2
            ORDER BY letter.position, letter.ordinal, letter.id
            LIMIT $3
            FOR UPDATE
        ),
        first AS (SELECT * FROM ahead ORDER BY id LIMIT 1),
        due AS (
            SELECT first.id FROM first
            WHERE first.state = 'retrying' AND first.next_attempt_at <= clock_timestamp()
            UNION ALL
            SELECT ahead.id FROM ahead, first
            WHERE first.state = 'waiting' AND ahead.state = 'waiting'
        )
        UPDATE relay.dead_letters AS letter
        SET state = 'retrying',
            attempts = letter.attempts + 1,
            last_attempt_at = clock_timestamp(),
            next_attempt_at = clock_timestamp() + make_interval(secs => $4)
        FROM due
        WHERE letter.id = due.id
        RETURNING letter.id, letter.attempts, letter.subject, letter.headers::text AS "headers!", letter.body
        "#,
        consumer,
        key,
        run.unwrap_or(RUN),
        pause_s,
    );
    let mut rows = rows.fetch_all(pool).await?;
    rows.sort_by_key(|row| row.id);
    Ok(rows
        .into_iter()
        .map(|row| Letter {
            id: row.id,
            attempts: row.attempts,
            message: message(row.subject, &row.headers, row.body),
        })
        .collect())
}

/// Makes sure that `letters` are still held, and that nobody else touches them; `false` if one is
/// not.
pub(crate) async fn lock(
    transaction: &mut PgConnection,
    letters: &[Letter],
) -> Result<bool, sqlx::Error> {
    let ids: Vec<i64> = letters.iter().map(|letter| letter.id).collect();
    let held = sqlx::query_scalar!(
        "SELECT id FROM relay.dead_letters WHERE id = ANY ($1) ORDER BY id FOR UPDATE",
        &ids
    );
    Ok(held.fetch_all(transaction).await?.len() == letters.len())
}

/// `letters` have taken effect in this transaction.
pub(crate) async fn settled(
    transaction: &mut PgConnection,
    letters: &[Letter],
) -> Result<(), sqlx::Error> {
    let ids: Vec<i64> = letters.iter().map(|letter| letter.id).collect();
    sqlx::query!("DELETE FROM relay.dead_letters WHERE id = ANY ($1)", &ids)
        .execute(transaction)
        .await?;
    Ok(())
}

/// The attempt at `letter` failed: it is tried again after `again_after_s`, or is dead without it.
pub(crate) async fn failed(
    pool: &PgPool,
    letter: &Letter,
    error: &str,
    again_after_s: Option<f64>,
) -> Result<(), sqlx::Error> {
    let state = if again_after_s.is_some() { State::Retrying } else { State::Dead };
    sqlx::query!(
        r#"
        UPDATE relay.dead_letters
        SET state = $2, error = $3, next_attempt_at = clock_timestamp() + make_interval(secs => $4)
        WHERE id = $1
        "#,
        letter.id,
        state.as_str(),
        error,
        again_after_s,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// The attempt at `letters` was not theirs: they wait again, and it does not count.
pub(crate) async fn returned(pool: &PgPool, letters: &[Letter]) -> Result<(), sqlx::Error> {
    let ids: Vec<i64> = letters.iter().map(|letter| letter.id).collect();
    sqlx::query!(
        r#"
        UPDATE relay.dead_letters
        SET state = 'waiting', attempts = attempts - 1, next_attempt_at = NULL
        WHERE id = ANY ($1)
        "#,
        &ids,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// The message as it was delivered.
fn message(subject: String, headers: &str, body: Vec<u8>) -> Message {
    let stored: BTreeMap<String, Vec<String>> = serde_json::from_str(headers).unwrap_or_default();
    let mut headers = HeaderMap::new();
    for (name, values) in stored {
        for value in values {
            headers.append(name.as_str(), value.as_str());
        }
    }
    let length = body.len();
    Message {
        subject: subject.into(),
        reply: None,
        payload: body.into(),
        headers: Some(headers),
        status: None,
        description: None,
        length,
    }
}
