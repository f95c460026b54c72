//! Puts messages aside, in order.

use std::collections::{BTreeMap, HashSet};

use sqlx::PgConnection;
use uuid::Uuid;

use super::State;
use crate::consumer::Delivery;

/// Why a message is held.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cause {
    /// It failed, for this reason, and is tried again after this many seconds.
    Failed { error: String, again_after_s: f64 },
    /// It failed, for this reason, and is not tried again by itself.
    Hopeless { error: String, attempts: i32 },
    /// Another one of its key is held.
    Behind,
}

/// Who holds, and how much at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held<'a> {
    pub(crate) consumer: &'a str,
    pub(crate) limit: u32,
}

/// Why nothing was held.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HoldError {
    #[error(
        "{limit} messages are held already: it is not the messages that are broken; mend the \
         handler, or raise the limit, and retry the dead letters"
    )]
    Full { limit: u32 },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// Which of `keys` have a message that is held.
///
/// Asked after the marks are made: whoever sees a mark sees what was held with it.
pub(crate) async fn held_keys(
    transaction: &mut PgConnection,
    consumer: &str,
    keys: &[&str],
) -> Result<HashSet<String>, sqlx::Error> {
    let keys: HashSet<&str> = keys.iter().copied().collect();
    let keys: Vec<String> = keys.into_iter().map(str::to_owned).collect();
    let held = sqlx::query_scalar!(
        r#"
        SELECT given.key AS "key!"
        FROM unnest($2::text[]) AS given (key)
        WHERE EXISTS (
            SELECT FROM relay.dead_letters AS letter
            WHERE letter.consumer = $1 AND letter.key = given.key
        )
        "#,
        consumer,
        &keys,
    );
    Ok(held.fetch_all(transaction).await?.into_iter().collect())
}

/// Holds `deliveries`, in this order, each for its cause.
pub(crate) async fn hold(
    transaction: &mut PgConnection,
    by: Held<'_>,
    deliveries: &[(&Delivery, Cause)],
) -> Result<(), HoldError> {
    let letters = sqlx::query_scalar!(
        r#"SELECT count(*) AS "letters!" FROM relay.dead_letters WHERE consumer = $1"#,
        by.consumer
    );
    if letters.fetch_one(&mut *transaction).await? >= i64::from(by.limit) {
        return Err(HoldError::Full { limit: by.limit });
    }
    let rows: Vec<Row<'_>> = deliveries.iter().map(|(_, cause)| Row::of(cause)).collect();
    let keys: Vec<&str> = deliveries.iter().map(|(one, _)| one.key.as_str()).collect();
    let ids: Vec<Uuid> = deliveries.iter().map(|(one, _)| one.id).collect();
    let states: Vec<&str> = rows.iter().map(|row| row.state.as_str()).collect();
    let attempts: Vec<i32> = rows.iter().map(|row| row.attempts).collect();
    let waits: Vec<Option<f64>> = rows.iter().map(|row| row.again_after_s).collect();
    let errors: Vec<Option<&str>> = rows.iter().map(|row| row.error).collect();
    let subjects: Vec<&str> = deliveries.iter().map(|(one, _)| one.raw.subject.as_str()).collect();
    let headers: Vec<String> = deliveries.iter().map(|(one, _)| headers(one)).collect();
    let bodies: Vec<&[u8]> = deliveries.iter().map(|(one, _)| one.raw.payload.as_ref()).collect();
    sqlx::query!(
        r#"
        INSERT INTO relay.dead_letters (
            consumer, key, message_id, state, attempts, next_attempt_at, error, last_attempt_at,
            subject, headers, body
        )
        SELECT $1, given.key, given.message_id, given.state, given.attempts,
               clock_timestamp() + make_interval(secs => given.again_after_s), given.error,
               CASE WHEN given.attempts > 0 THEN clock_timestamp() END,
               given.subject, given.headers::json, given.body
        FROM unnest($2::text[], $3::uuid[], $4::text[], $5::integer[], $6::float8[], $7::text[],
                    $8::text[], $9::text[], $10::bytea[])
             WITH ORDINALITY AS given (
                 key, message_id, state, attempts, again_after_s, error, subject, headers, body, number
             )
        ORDER BY given.number
        "#,
        by.consumer,
        &keys as _,
        &ids,
        &states as _,
        &attempts,
        &waits as _,
        &errors as _,
        &subjects as _,
        &headers,
        &bodies as _,
    )
    .execute(transaction)
    .await?;
    Ok(())
}

/// What the cause makes of a letter.
struct Row<'a> {
    state: State,
    error: Option<&'a str>,
    again_after_s: Option<f64>,
    attempts: i32,
}

impl<'a> Row<'a> {
    fn of(cause: &'a Cause) -> Self {
        let (state, error, again_after_s, attempts) = match cause {
            Cause::Failed { error, again_after_s } => {
                (State::Retrying, Some(error.as_str()), Some(*again_after_s), 1)
            }
            Cause::Hopeless { error, attempts } => {
                (State::Dead, Some(error.as_str()), None, *attempts)
            }
            Cause::Behind => (State::Waiting, None, None, 0),
        };
        Self { state, error, again_after_s, attempts }
    }
}

/// The headers of the contract and whatever else was sent, but for those that speak to the broker.
fn headers(delivery: &Delivery) -> String {
    let mut headers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, values) in delivery.raw.headers.iter().flat_map(async_nats::HeaderMap::iter) {
        let name: &str = name.as_ref();
        if !name.starts_with("Nats-") {
            headers.insert(name, values.iter().map(async_nats::HeaderValue::as_str).collect());
        }
    }
    serde_json::to_string(&headers).unwrap_or_default()
}
