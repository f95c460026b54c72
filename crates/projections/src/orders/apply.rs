//! What events do to the read model of orders.

use domain::Event;
use domain::ordering::{OrderPlaced, OrderingEvent, Shortage};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Entry;

/// A batch is applied kind by kind: an order is placed before it is settled, so putting all
/// placements first changes nothing.
pub(super) async fn apply(
    connection: &mut PgConnection,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    let mut placed = Vec::new();
    let mut settled = Settled::default();
    for entry in entries {
        match &entry.event {
            Event::Ordering(OrderingEvent::OrderPlaced(event)) => {
                placed.push((entry.recorded.position.get(), event));
            }
            Event::Ordering(OrderingEvent::OrderConfirmed(event)) => {
                settled.push(event.order_id.get(), "confirmed", &[]);
            }
            Event::Ordering(OrderingEvent::OrderRejected(event)) => {
                settled.push(event.order_id.get(), "rejected", &event.shortages);
            }
            Event::Catalog(_) | Event::Inventory(_) => {}
        }
    }
    insert_orders(connection, &placed).await?;
    insert_lines(connection, &placed).await?;
    settled.update(connection).await
}

async fn insert_orders(
    connection: &mut PgConnection,
    placed: &[(i64, &OrderPlaced)],
) -> Result<(), sqlx::Error> {
    if placed.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = placed.iter().map(|(_, event)| event.order_id.get()).collect();
    let totals: Vec<_> = placed.iter().map(|(_, event)| event.total.amount()).collect();
    let currencies: Vec<_> =
        placed.iter().map(|(_, event)| event.total.currency().code()).collect();
    let times: Vec<_> = placed.iter().map(|(_, event)| event.placed_at).collect();
    let positions: Vec<_> = placed.iter().map(|(position, _)| *position).collect();
    sqlx::query!(
        r#"
        INSERT INTO orders (order_id, status, total, currency, placed_at, placed_position)
        SELECT id, 'placed', total, currency, placed_at, position
        FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::timestamptz[], $5::bigint[])
             AS placed (id, total, currency, placed_at, position)
        "#,
        &ids as _,
        &totals as _,
        &currencies as _,
        &times as _,
        &positions as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn insert_lines(
    connection: &mut PgConnection,
    placed: &[(i64, &OrderPlaced)],
) -> Result<(), sqlx::Error> {
    let lines: Vec<_> = placed
        .iter()
        .flat_map(|(_, event)| (0_i32..).zip(&event.lines).map(|line| (event.order_id.get(), line)))
        .collect();
    if lines.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = lines.iter().map(|(id, _)| *id).collect();
    let numbers: Vec<_> = lines.iter().map(|(_, (number, _))| *number).collect();
    let products: Vec<_> = lines.iter().map(|(_, (_, line))| line.product_id.get()).collect();
    let skus: Vec<_> = lines.iter().map(|(_, (_, line))| line.sku.as_str()).collect();
    let names: Vec<_> = lines.iter().map(|(_, (_, line))| line.name.as_str()).collect();
    let quantities: Vec<_> =
        lines.iter().map(|(_, (_, line))| i64::from(line.quantity.get())).collect();
    let prices: Vec<_> = lines.iter().map(|(_, (_, line))| line.unit_price.amount()).collect();
    sqlx::query!(
        r#"
        INSERT INTO order_lines (order_id, line, product_id, sku, name, quantity, unit_price)
        SELECT * FROM unnest($1::uuid[], $2::integer[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
        "#,
        &ids as _,
        &numbers as _,
        &products as _,
        &skus as _,
        &names as _,
        &quantities as _,
        &prices as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

#[derive(Default)]
struct Settled {
    ids: Vec<Uuid>,
    statuses: Vec<&'static str>,
    shortages: Vec<serde_json::Value>,
}

impl Settled {
    fn push(&mut self, id: Uuid, status: &'static str, shortages: &[Shortage]) {
        self.ids.push(id);
        self.statuses.push(status);
        self.shortages.push(json!(shortages));
    }

    async fn update(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let updated = sqlx::query!(
            r#"
            UPDATE orders
            SET status = settled.status, shortages = settled.shortages
            FROM unnest($1::uuid[], $2::text[], $3::jsonb[]) AS settled (id, status, shortages)
            WHERE order_id = settled.id AND orders.status = 'placed'
            "#,
            &self.ids as _,
            &self.statuses as _,
            &self.shortages as _,
        )
        .execute(connection)
        .await?;
        crate::projection::expect_rows(updated.rows_affected(), self.ids.len(), "orders")
    }
}
