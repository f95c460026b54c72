//! A log of orders, and the read model of them as one would fill it by hand.

use chrono::{DateTime, Utc};
use eventstore::{Append, CommandId, EventType, ExpectedVersion, Fingerprint, NewEvent, StreamId};
use serde::Deserialize;
use sqlx::{AssertSqlSafe, PgConnection, PgPool};
use uuid::Uuid;

use crate::event;

/// How many orders are placed between an order and its confirmation.
const BETWEEN: i64 = 50;

/// Appends `events` events, half of them orders and half their confirmations, without a store.
pub(crate) async fn fill(pool: &PgPool, events: i64) -> anyhow::Result<()> {
    let fill = r#"
        INSERT INTO eventstore.events
            (position, recorded_at, command_id, correlation_id, version, schema_version, type, stream, actor, payload)
        SELECT position, clock_timestamp(), id, id, CASE WHEN is_placed THEN 1 ELSE 2 END, 1,
               CASE WHEN is_placed THEN 'ordering.order-placed' ELSE 'ordering.order-confirmed' END,
               'ordering.order-' || id, 'bench',
               CASE WHEN is_placed THEN format(
                   '{"order_id":"%s","lines":[{"product_id":"%s","sku":"SKU-%s","name":"Product number %s","quantity":2,"unit_price":{"amount":1250,"currency":"EUR"}}],"total":{"amount":2500,"currency":"EUR"},"placed_at":"2026-01-01T12:00:00Z"}',
                   id, id, number % 1000, number % 1000)::json
               ELSE format('{"order_id":"%s"}', id)::json END
        FROM (
            SELECT position, is_placed, number,
                   ('0193c0de-0000-7000-8000-' || lpad(to_hex(number), 12, '0'))::uuid AS id
            FROM (
                SELECT row_number() OVER (ORDER BY moment, is_placed) AS position, is_placed, number
                FROM (
                    SELECT number, number AS moment, true AS is_placed FROM generate_series(1, $1 / 2) AS number
                    UNION ALL
                    SELECT number, number + $2, false FROM generate_series(1, $1 / 2) AS number
                ) AS events
            ) AS numbered
        ) AS named
        ORDER BY position
    "#;
    sqlx::query(fill).bind(events).bind(BETWEEN).execute(pool).await?;
    sqlx::query("INSERT INTO eventstore.types VALUES ('ordering.order-placed', 1), ('ordering.order-confirmed', 1)")
        .execute(pool)
        .await?;
    sqlx::query("ANALYZE eventstore.events").execute(pool).await?;
    Ok(())
}

/// The append of an order, as the domain writes it.
pub(crate) fn placed(id: Uuid) -> anyhow::Result<Append> {
    let stream = StreamId::new(format!("ordering.order-{id}"))?;
    let payload = format!(
        r#"{{"order_id":"{id}","lines":[{{"product_id":"{id}","sku":"SKU-1","name":"Product number 1","quantity":2,"unit_price":{{"amount":1250,"currency":"EUR"}}}}],"total":{{"amount":2500,"currency":"EUR"}},"placed_at":"2026-01-01T12:00:00Z"}}"#
    );
    let placed = EventType::new("ordering.order-placed", 1);
    Ok(Append {
        expectations: vec![(stream.clone(), ExpectedVersion::NO_STREAM)],
        events: vec![NewEvent::new(stream, placed, payload)],
        ..Append::new(CommandId::new(id), Fingerprint::of(b""), event::metadata(id))
    })
}

#[derive(Deserialize)]
#[expect(clippy::struct_field_names, reason = "they are those of the payload")]
struct Placed {
    order_id: Uuid,
    lines: Vec<Line>,
    total: Money,
    placed_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Line {
    product_id: Uuid,
    sku: String,
    name: String,
    quantity: i64,
    unit_price: Money,
}

#[derive(Deserialize)]
struct Money {
    amount: i64,
    currency: String,
}

#[derive(Deserialize)]
struct Confirmed {
    order_id: Uuid,
}

/// The tables of the read model, in the schema `by_hand`, with a checkpoint.
pub(crate) async fn tables(pool: &PgPool) -> anyhow::Result<()> {
    let schema = projections::orders::ORDERS.schema;
    let tables = format!(
        "DROP SCHEMA IF EXISTS by_hand CASCADE; CREATE SCHEMA by_hand; SET search_path = by_hand; {schema}; \
         CREATE TABLE checkpoint (position bigint NOT NULL); INSERT INTO checkpoint VALUES (0); RESET search_path"
    );
    sqlx::raw_sql(AssertSqlSafe(tables)).execute(pool).await?;
    Ok(())
}

/// Fills the read model page by page: reads, inserts and updates set-wise, moves the checkpoint, commits.
/// One connection, nothing else. Answers with how many events there were.
pub(crate) async fn set_wise(pool: &PgPool, page: i64) -> anyhow::Result<usize> {
    let mut connection = pool.acquire().await?;
    let (mut position, mut events) = (0_i64, 0);
    loop {
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT position, type, payload::text FROM eventstore.events
             WHERE position > $1 AND type = ANY ('{ordering.order-placed,ordering.order-confirmed,ordering.order-rejected}')
             ORDER BY position LIMIT $2",
        )
        .bind(position)
        .bind(page)
        .fetch_all(&mut *connection)
        .await?;
        let Some(last) = rows.last() else { return Ok(events) };
        position = last.0;
        events += rows.len();
        let (mut placed, mut confirmed) = (vec![], vec![]);
        for (position, event, payload) in &rows {
            match event.as_str() {
                "ordering.order-placed" => {
                    placed.push((*position, serde_json::from_str::<Placed>(payload)?));
                }
                _ => confirmed.push(serde_json::from_str::<Confirmed>(payload)?.order_id),
            }
        }
        sqlx::query("BEGIN").execute(&mut *connection).await?;
        insert(&mut connection, &placed).await?;
        sqlx::query("UPDATE by_hand.orders SET status = 'confirmed' WHERE order_id = ANY ($1)")
            .bind(&confirmed)
            .execute(&mut *connection)
            .await?;
        sqlx::query("UPDATE by_hand.checkpoint SET position = $1")
            .bind(position)
            .execute(&mut *connection)
            .await?;
        sqlx::query("COMMIT").execute(&mut *connection).await?;
    }
}

async fn insert(connection: &mut PgConnection, placed: &[(i64, Placed)]) -> anyhow::Result<()> {
    let ids: Vec<_> = placed.iter().map(|(_, order)| order.order_id).collect();
    let totals: Vec<_> = placed.iter().map(|(_, order)| order.total.amount).collect();
    let currencies: Vec<_> = placed.iter().map(|(_, order)| &*order.total.currency).collect();
    let times: Vec<_> = placed.iter().map(|(_, order)| order.placed_at).collect();
    let positions: Vec<_> = placed.iter().map(|(position, _)| *position).collect();
    sqlx::query(
        "INSERT INTO by_hand.orders (order_id, status, total, currency, placed_at, placed_position)
         SELECT id, 'placed', total, currency, placed_at, position
         FROM unnest($1, $2, $3::text[], $4, $5) AS placed (id, total, currency, placed_at, position)
         ON CONFLICT (order_id) DO UPDATE SET total = excluded.total",
    )
    .bind(&ids)
    .bind(&totals)
    .bind(&currencies)
    .bind(&times)
    .bind(&positions)
    .execute(&mut *connection)
    .await?;
    let lines: Vec<(Uuid, i32, &Line)> = placed
        .iter()
        .flat_map(|(_, order)| {
            (0..).zip(&order.lines).map(|(number, line)| (order.order_id, number, line))
        })
        .collect();
    let ids: Vec<_> = lines.iter().map(|(id, ..)| *id).collect();
    let numbers: Vec<_> = lines.iter().map(|(_, number, _)| *number).collect();
    let products: Vec<_> = lines.iter().map(|(.., line)| line.product_id).collect();
    let skus: Vec<_> = lines.iter().map(|(.., line)| &*line.sku).collect();
    let names: Vec<_> = lines.iter().map(|(.., line)| &*line.name).collect();
    let quantities: Vec<_> = lines.iter().map(|(.., line)| line.quantity).collect();
    let prices: Vec<_> = lines.iter().map(|(.., line)| line.unit_price.amount).collect();
    sqlx::query(
        "INSERT INTO by_hand.order_lines (order_id, line, product_id, sku, name, quantity, unit_price)
         SELECT * FROM unnest($1, $2, $3, $4::text[], $5::text[], $6, $7)
         ON CONFLICT (order_id, line) DO UPDATE SET quantity = excluded.quantity",
    )
    .bind(&ids)
    .bind(&numbers)
    .bind(&products)
    .bind(&skus)
    .bind(&names)
    .bind(&quantities)
    .bind(&prices)
    .execute(connection)
    .await?;
    Ok(())
}

/// Fills the read model in pages of 500 events, with a statement for each row, as one who does not
/// think of sets would.
pub(crate) async fn row_by_row(pool: &PgPool, events: i64) -> anyhow::Result<()> {
    let mut connection = pool.acquire().await?;
    let mut position = 0_i64;
    while position < events {
        let rows: Vec<(i64, String, String)> = sqlx::query_as(
            "SELECT position, type, payload::text FROM eventstore.events WHERE position > $1 ORDER BY position LIMIT 500",
        )
        .bind(position)
        .fetch_all(&mut *connection)
        .await?;
        sqlx::query("BEGIN").execute(&mut *connection).await?;
        for (at, event, payload) in rows {
            position = at;
            if event == "ordering.order-placed" {
                let order: Placed = serde_json::from_str(&payload)?;
                insert(&mut connection, &[(at, order)]).await?;
            } else {
                sqlx::query("UPDATE by_hand.orders SET status = 'confirmed' WHERE order_id = $1")
                    .bind(serde_json::from_str::<Confirmed>(&payload)?.order_id)
                    .execute(&mut *connection)
                    .await?;
            }
        }
        sqlx::query("UPDATE by_hand.checkpoint SET position = $1")
            .bind(position)
            .execute(&mut *connection)
            .await?;
        sqlx::query("COMMIT").execute(&mut *connection).await?;
    }
    Ok(())
}
