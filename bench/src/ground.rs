//! The limit of the machine: the same rows in the same tables, with nothing that makes them a log.

use std::time::{Duration, Instant};

use sqlx::{Connection, PgConnection};

use crate::event;
use crate::load::{Measured, measured};

const INSERT: &str = "
    WITH events AS (
        INSERT INTO eventstore.events (
            position, recorded_at, command_id, correlation_id, version, schema_version, type, stream, actor, trace, payload
        )
        SELECT position, now(), command_id, correlation_id, 1, 1, type, stream, actor, trace, payload::json
        FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[])
             AS given (position, command_id, correlation_id, type, stream, actor, trace, payload)
    ),
    commands AS (
        INSERT INTO eventstore.commands (command_id, fingerprint, first_position, last_position, recorded_at)
        SELECT command_id, fingerprint, position, position, now()
        FROM unnest($1::bigint[], $2::uuid[], $9::bytea[]) AS given (position, command_id, fingerprint)
    )
    INSERT INTO eventstore.outbox (position, subject)
    SELECT position, subject FROM unnest($1::bigint[], $10::text[]) AS given (position, subject)";

/// Inserts `rows` events a transaction on one connection until `time` is over; each with its outbox
/// row and its command record.
pub(crate) async fn insert(url: &str, rows: i64, time: Duration) -> anyhow::Result<Measured> {
    let mut connection = PgConnection::connect(url).await?;
    let mut position: i64 =
        sqlx::query_scalar("SELECT coalesce(max(position), 0) FROM eventstore.events")
            .fetch_one(&mut connection)
            .await?;
    let began = Instant::now();
    let mut times = Vec::new();
    while began.elapsed() < time {
        let statement_began = Instant::now();
        let positions: Vec<i64> = (position + 1..=position + rows).collect();
        position += rows;
        let ids: Vec<_> = positions.iter().map(|_| event::id()).collect();
        let repeat = |text: &str| vec![text.to_owned(); positions.len()];
        let metadata = event::metadata(ids[0]);
        sqlx::query(INSERT)
            .bind(&positions)
            .bind(&ids)
            .bind(&ids)
            .bind(repeat(event::TYPE))
            .bind(ids.iter().map(|id| event::stream(*id).to_string()).collect::<Vec<_>>())
            .bind(repeat(&metadata.actor))
            .bind(repeat(&metadata.trace.unwrap_or_default()))
            .bind(ids.iter().map(|id| event::payload(*id)).collect::<Vec<_>>())
            .bind(vec![[7_u8; 32]; positions.len()])
            .bind(repeat(event::SUBJECT))
            .execute(&mut connection)
            .await?;
        times.push(statement_began.elapsed());
    }
    let mut measured = measured(times, began.elapsed());
    #[expect(clippy::cast_precision_loss, reason = "a thousand at most")]
    {
        measured.rate_per_s *= rows as f64;
    }
    Ok(measured)
}
