//! What events make of an order.

use domain::Event;
use domain::ids::{OrderId, OrganizationId, UserId};
use domain::ordering::{OrderPlaced, OrderingEvent};
use eventstore::StreamId;
use serde_json::json;
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::queries::{Order, OrderLine, Row, Shortage, Status};
use crate::document::{Change, Document};
use crate::projection::expect_rows;
use crate::{Entry, Revision, projection};

impl Document for Order {
    type Id = OrderId;

    fn parse(key: &str) -> Option<OrderId> {
        key.parse().ok().map(OrderId::new)
    }

    fn id(event: &Event) -> Option<OrderId> {
        match event {
            Event::Ordering(OrderingEvent::OrderPlaced(event)) => Some(event.order_id),
            Event::Ordering(OrderingEvent::OrderConfirmed(event)) => Some(event.order_id),
            Event::Ordering(OrderingEvent::OrderRejected(event)) => Some(event.order_id),
            Event::Catalog(_)
            | Event::Identity(_)
            | Event::Inventory(_)
            | Event::Organizations(_) => None,
        }
    }

    fn begins(event: &Event) -> bool {
        matches!(event, Event::Ordering(OrderingEvent::OrderPlaced(_)))
    }

    fn evolve(before: Option<Self>, entry: &Entry<'_>) -> Result<Option<Self>, &'static str> {
        let Event::Ordering(event) = &entry.event else { return Ok(before) };
        match (before, event) {
            (None, OrderingEvent::OrderPlaced(event)) => Ok(Some(placed(event, entry))),
            (Some(_), OrderingEvent::OrderPlaced(_)) => Err("the order is placed already"),
            (Some(order), OrderingEvent::OrderConfirmed(_)) => {
                settled(order, Status::Confirmed, Vec::new(), entry)
            }
            (Some(order), OrderingEvent::OrderRejected(event)) => {
                let shortages = event.shortages.iter().map(|short| Shortage {
                    product_id: short.product_id,
                    requested: short.requested.get(),
                    available: short.available,
                });
                settled(order, Status::Rejected, shortages.collect(), entry)
            }
            (None, _) => Err("nobody has placed the order"),
        }
    }

    /// Without their lines, which do not change any more.
    async fn load(
        connection: &mut PgConnection,
        ids: &[OrderId],
    ) -> Result<Vec<(OrderId, Self)>, sqlx::Error> {
        let ids: Vec<_> = ids.iter().map(|id| id.get()).collect();
        let rows = sqlx::query_as!(
            Row,
            r#"
            SELECT order_id, customer, tenant, status, total, currency, placed_at, placed_position, version, changed_position,
                   shortages AS "shortages: Json<Vec<Shortage>>"
            FROM orders
            WHERE order_id = ANY ($1)
            "#,
            &ids,
        )
        .fetch_all(connection)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| (OrderId::new(row.order_id), row.order(Vec::new())))
            .collect())
    }

    async fn store(
        connection: &mut PgConnection,
        changes: &[Change<Self>],
    ) -> Result<(), sqlx::Error> {
        let now = |change: &'_ Change<Self>| change.after.clone();
        let (new, settled): (Vec<_>, Vec<_>) =
            changes.iter().partition(|change| change.before.is_none());
        let new: Vec<_> = new.into_iter().filter_map(now).collect();
        let settled: Vec<_> = settled.into_iter().filter_map(now).collect();
        insert(&mut *connection, &new).await?;
        update(connection, &settled).await
    }

    fn streams(id: OrderId) -> Vec<StreamId> {
        projection::streams(&["ordering.order"], id.get())
    }
}

fn placed(event: &OrderPlaced, entry: &Entry<'_>) -> Order {
    let lines = event.lines.iter().map(|line| OrderLine {
        product_id: line.product_id,
        sku: line.sku.as_str().to_owned(),
        name: line.name.as_str().to_owned(),
        quantity: i64::from(line.quantity.get()),
        unit_price: line.unit_price.amount(),
    });
    Order {
        id: event.order_id,
        customer: customer(&entry.recorded.metadata.actor),
        tenant: entry.recorded.metadata.tenant.map(OrganizationId::new),
        status: Status::Placed,
        total: event.total.amount(),
        currency: event.total.currency().code().to_owned(),
        placed_at: event.placed_at,
        placed: entry.recorded.position,
        revision: Revision::of(entry.recorded),
        lines: lines.collect(),
        shortages: Vec::new(),
    }
}

/// The user that `actor` is, or on whose behalf it acts: `user:…`, or `api-key:…/user:…`.
fn customer(actor: &str) -> Option<UserId> {
    let (_, user) = actor.rsplit_once('/').unwrap_or(("", actor));
    let id = user.strip_prefix("user:")?;
    id.parse().ok().map(UserId::new)
}

fn settled(
    order: Order,
    status: Status,
    shortages: Vec<Shortage>,
    entry: &Entry<'_>,
) -> Result<Option<Order>, &'static str> {
    match order.status {
        Status::Placed => {
            let revision = Revision::of(entry.recorded);
            Ok(Some(Order { status, revision, shortages, ..order }))
        }
        Status::Confirmed | Status::Rejected => Err("the order is settled already"),
    }
}

async fn insert(connection: &mut PgConnection, orders: &[Order]) -> Result<(), sqlx::Error> {
    if orders.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = orders.iter().map(|order| order.id.get()).collect();
    let customers: Vec<_> = orders.iter().map(|order| order.customer.map(UserId::get)).collect();
    let tenant = |order: &Order| order.tenant.map(OrganizationId::get);
    let tenants: Vec<_> = orders.iter().map(tenant).collect();
    let statuses: Vec<_> = orders.iter().map(|order| order.status.as_str()).collect();
    let totals: Vec<_> = orders.iter().map(|order| order.total).collect();
    let currencies: Vec<_> = orders.iter().map(|order| order.currency.as_str()).collect();
    let times: Vec<_> = orders.iter().map(|order| order.placed_at).collect();
    let positions: Vec<_> = orders.iter().map(|order| order.placed.get()).collect();
    let shortages: Vec<_> = orders.iter().map(|order| json!(order.shortages)).collect();
    let versions: Vec<_> = orders.iter().map(|order| order.revision.version.get()).collect();
    let changed: Vec<_> = orders.iter().map(|order| order.revision.position.get()).collect();
    let lines: Vec<(Uuid, (i32, &OrderLine))> = orders
        .iter()
        .flat_map(|order| (0_i32..).zip(&order.lines).map(|line| (order.id.get(), line)))
        .collect();
    let orders_of: Vec<_> = lines.iter().map(|(id, _)| *id).collect();
    let tenants_of: Vec<_> =
        orders.iter().flat_map(|order| order.lines.iter().map(move |_| tenant(order))).collect();
    let numbers: Vec<_> = lines.iter().map(|(_, (number, _))| *number).collect();
    let products: Vec<_> = lines.iter().map(|(_, (_, line))| line.product_id.get()).collect();
    let skus: Vec<_> = lines.iter().map(|(_, (_, line))| line.sku.as_str()).collect();
    let names: Vec<_> = lines.iter().map(|(_, (_, line))| line.name.as_str()).collect();
    let quantities: Vec<_> = lines.iter().map(|(_, (_, line))| line.quantity).collect();
    let prices: Vec<_> = lines.iter().map(|(_, (_, line))| line.unit_price).collect();
    sqlx::query!(
        r#"
        WITH placed AS (
            INSERT INTO orders (order_id, status, total, currency, placed_at, placed_position, shortages, version, changed_position, customer, tenant)
            SELECT *
            FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::timestamptz[], $6::bigint[], $7::jsonb[], $8::bigint[], $9::bigint[], $17::uuid[], $18::uuid[])
        )
        INSERT INTO order_lines (order_id, line, product_id, sku, name, quantity, unit_price, tenant)
        SELECT *
        FROM unnest($10::uuid[], $11::integer[], $12::uuid[], $13::text[], $14::text[], $15::bigint[], $16::bigint[], $19::uuid[])
        "#,
        &ids,
        &statuses as _,
        &totals,
        &currencies as _,
        &times,
        &positions,
        &shortages,
        &versions,
        &changed,
        &orders_of,
        &numbers,
        &products,
        &skus as _,
        &names as _,
        &quantities,
        &prices,
        &customers as _,
        &tenants as _,
        &tenants_of as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn update(connection: &mut PgConnection, orders: &[Order]) -> Result<(), sqlx::Error> {
    if orders.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = orders.iter().map(|order| order.id.get()).collect();
    let statuses: Vec<_> = orders.iter().map(|order| order.status.as_str()).collect();
    let shortages: Vec<_> = orders.iter().map(|order| json!(order.shortages)).collect();
    let versions: Vec<_> = orders.iter().map(|order| order.revision.version.get()).collect();
    let changed: Vec<_> = orders.iter().map(|order| order.revision.position.get()).collect();
    let updated = sqlx::query!(
        r#"
        UPDATE orders
        SET status = settled.status, shortages = settled.shortages,
            version = settled.version, changed_position = settled.changed_position
        FROM unnest($1::uuid[], $2::text[], $3::jsonb[], $4::bigint[], $5::bigint[])
            AS settled (id, status, shortages, version, changed_position)
        WHERE order_id = settled.id
        "#,
        &ids,
        &statuses as _,
        &shortages,
        &versions,
        &changed,
    )
    .execute(connection)
    .await?;
    expect_rows(updated.rows_affected(), ids.len(), "orders")
}
