//! What one writes without an event store: a transaction with sqlx, tables of one's own, no order.

use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::account::{Account, AccountEvent};
use crate::event;

const SCHEMA: &str = "
    CREATE SCHEMA by_hand;
    CREATE TABLE by_hand.events (
        position bigserial PRIMARY KEY, event_id uuid NOT NULL UNIQUE, stream text NOT NULL, version bigint NOT NULL,
        type text NOT NULL, payload json NOT NULL, metadata json NOT NULL, recorded_at timestamptz NOT NULL DEFAULT now(),
        UNIQUE (stream, version)
    );
    CREATE TABLE by_hand.outbox (id bigserial PRIMARY KEY, message_id uuid NOT NULL, subject text NOT NULL)";

/// Makes its tables.
pub(crate) async fn prepare(pool: &PgPool) -> anyhow::Result<()> {
    sqlx::raw_sql(SCHEMA).execute(pool).await?;
    Ok(())
}

/// BEGIN; read the version; insert the event; insert the outbox row; COMMIT.
pub(crate) async fn append(pool: &PgPool, of: Uuid) -> anyhow::Result<()> {
    let mut transaction = pool.begin().await?;
    let stream = event::stream(of).to_string();
    let version: i64 = sqlx::query_scalar(
        "SELECT coalesce(max(version), 0) FROM by_hand.events WHERE stream = $1",
    )
    .bind(&stream)
    .fetch_one(&mut *transaction)
    .await?;
    insert(&mut transaction, &stream, version + 1, event::TYPE, &event::payload(of)).await?;
    transaction.commit().await?;
    Ok(())
}

/// The same with the whole stream read and a decision made on it; again when others were faster.
pub(crate) async fn command(pool: &PgPool, of: &str) -> anyhow::Result<()> {
    loop {
        let mut transaction = pool.begin().await?;
        let rows = sqlx::query(
            "SELECT version, payload::text FROM by_hand.events WHERE stream = $1 ORDER BY version",
        )
        .bind(of)
        .fetch_all(&mut *transaction)
        .await?;
        let (mut account, mut version) = (Account::default(), 0_i64);
        for row in rows {
            let event: AccountEvent = serde_json::from_str(row.get(1))?;
            (account, version) = (account.after(&event), row.get(0));
        }
        let payload = serde_json::to_string(&account.deposit())?;
        match insert(&mut transaction, of, version + 1, "bank.deposited", &payload).await {
            Ok(()) => {
                transaction.commit().await?;
                return Ok(());
            }
            Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Fills `streams` with `events` each.
pub(crate) async fn fill(pool: &PgPool, streams: &[String], events: i64) -> anyhow::Result<()> {
    let payload = serde_json::to_string(&Account::default().deposit())?;
    sqlx::query(
        "INSERT INTO by_hand.events (event_id, stream, version, type, payload, metadata)
         SELECT gen_random_uuid(), stream, version, 'bank.deposited', $2::json, '{}'
         FROM unnest($1::text[]) AS stream, generate_series(1, $3) AS version",
    )
    .bind(streams)
    .bind(payload)
    .bind(events)
    .execute(pool)
    .await?;
    sqlx::raw_sql("ANALYZE by_hand.events").execute(pool).await?;
    Ok(())
}

async fn insert(
    connection: &mut sqlx::PgConnection,
    stream: &str,
    version: i64,
    event_type: &str,
    payload: &str,
) -> Result<(), sqlx::Error> {
    let id = event::id();
    let metadata = event::metadata(id);
    let metadata = format!(
        r#"{{"actor":"{}","correlation_id":"{id}","trace":"{}"}}"#,
        metadata.actor,
        metadata.trace.unwrap_or_default()
    );
    sqlx::query(
        "INSERT INTO by_hand.events (event_id, stream, version, type, payload, metadata)
         VALUES ($1, $2, $3, $4, $5::json, $6::json)",
    )
    .bind(id)
    .bind(stream)
    .bind(version)
    .bind(event_type)
    .bind(payload)
    .bind(metadata)
    .execute(&mut *connection)
    .await?;
    sqlx::query("INSERT INTO by_hand.outbox (message_id, subject) VALUES ($1, $2)")
        .bind(id)
        .bind(event::SUBJECT)
        .execute(connection)
        .await?;
    Ok(())
}
