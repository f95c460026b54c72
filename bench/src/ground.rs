//! The limit of the machine: the same rows in the same tables, with nothing that makes them a log.

use std::time::{Duration, Instant};

use eventstore::StreamId;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool, Row};

use crate::event;
use crate::load::{Measured, count, measured};

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
    let mut position = end(&mut connection).await?;
    let began = Instant::now();
    let mut times = Vec::new();
    while began.elapsed() < time {
        let statement_began = Instant::now();
        insert_rows(&mut connection, position, rows).await?;
        position += rows;
        times.push(statement_began.elapsed());
    }
    let mut measured = measured(times, began.elapsed());
    measured.rate_per_s *= count(usize::try_from(rows)?);
    Ok(measured)
}

/// Makes the log longer by `events`.
pub(crate) async fn fill(url: &str, events: i64) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(url).await?;
    let mut position = end(&mut connection).await?;
    let to = position + events;
    while position < to {
        let rows = (to - position).min(1_000);
        insert_rows(&mut connection, position, rows).await?;
        position += rows;
    }
    // A log that grew in days was vacuumed meanwhile; here it is at once.
    sqlx::raw_sql("VACUUM ANALYZE eventstore.events, eventstore.outbox, eventstore.commands")
        .execute(&mut connection)
        .await?;
    sqlx::raw_sql("CHECKPOINT").execute(&mut connection).await?;
    Ok(())
}

async fn end(connection: &mut PgConnection) -> anyhow::Result<i64> {
    let end = "SELECT coalesce(max(position), 0) FROM eventstore.events";
    Ok(sqlx::query_scalar(end).fetch_one(connection).await?)
}

async fn insert_rows(
    connection: &mut PgConnection,
    after: i64,
    rows: i64,
) -> Result<(), sqlx::Error> {
    let positions: Vec<i64> = (after + 1..=after + rows).collect();
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
        .execute(connection)
        .await?;
    Ok(())
}

const COLUMNS: &str = "
    position, recorded_at, command_id, correlation_id, causation_id, version, schema_version, type, stream,
    actor, tenant, trace, tags, payload::text";

/// Reads the rows of one stream and looks at their payloads; answers with how many there are.
pub(crate) async fn read_stream(pool: &PgPool, stream: &StreamId) -> anyhow::Result<usize> {
    let select =
        format!("SELECT {COLUMNS} FROM eventstore.events WHERE stream = $1 ORDER BY version");
    let rows = sqlx::query(AssertSqlSafe(select)).bind(stream.as_str()).fetch_all(pool).await?;
    looked_at(&rows)
}

/// Reads all rows in order, `page` at a time, and looks at their payloads.
pub(crate) async fn read_log(pool: &PgPool, page: i64) -> anyhow::Result<usize> {
    let select = format!(
        "SELECT {COLUMNS} FROM eventstore.events WHERE position > $1 ORDER BY position LIMIT $2"
    );
    let (mut read, mut after) = (0, 0_i64);
    loop {
        let rows = sqlx::query(AssertSqlSafe(select.as_str()))
            .bind(after)
            .bind(page)
            .fetch_all(pool)
            .await?;
        let Some(last) = rows.last() else { return Ok(read) };
        after = last.try_get(0)?;
        read += looked_at(&rows)?;
    }
}

fn looked_at(rows: &[PgRow]) -> anyhow::Result<usize> {
    for row in rows {
        let payload: &str = row.try_get("payload")?;
        anyhow::ensure!(payload.len() > 1, "an event without a payload");
    }
    Ok(rows.len())
}
