//! What events do to the read model of products.

use std::collections::BTreeMap;

use domain::Event;
use domain::catalog::{CatalogEvent, ProductListed};
use domain::inventory::InventoryEvent;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Entry;

/// A batch is applied kind by kind: a product is listed before its stock moves, and the sum of
/// the moves does not depend on their order.
pub(super) async fn apply(
    connection: &mut PgConnection,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    let mut listed = Vec::new();
    let mut moves: BTreeMap<Uuid, i64> = BTreeMap::new();
    for entry in entries {
        match &entry.event {
            Event::Catalog(CatalogEvent::ProductListed(event)) => {
                listed.push((entry.recorded.position.get(), event));
            }
            Event::Inventory(InventoryEvent::StockReceived(event)) => {
                *moves.entry(event.product_id.get()).or_default() +=
                    i64::from(event.quantity.get());
            }
            Event::Inventory(InventoryEvent::StockReserved(event)) => {
                *moves.entry(event.product_id.get()).or_default() -=
                    i64::from(event.quantity.get());
            }
            Event::Inventory(_) | Event::Ordering(_) => {}
        }
    }
    insert_products(connection, &listed).await?;
    move_stock(connection, &moves).await
}

async fn insert_products(
    connection: &mut PgConnection,
    listed: &[(i64, &ProductListed)],
) -> Result<(), sqlx::Error> {
    if listed.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = listed.iter().map(|(_, event)| event.product_id.get()).collect();
    let skus: Vec<_> = listed.iter().map(|(_, event)| event.sku.as_str()).collect();
    let names: Vec<_> = listed.iter().map(|(_, event)| event.name.as_str()).collect();
    let prices: Vec<_> = listed.iter().map(|(_, event)| event.price.amount()).collect();
    let currencies: Vec<_> =
        listed.iter().map(|(_, event)| event.price.currency().code()).collect();
    let positions: Vec<_> = listed.iter().map(|(position, _)| *position).collect();
    sqlx::query!(
        r#"
        INSERT INTO products (product_id, sku, name, price, currency, available, listed_position)
        SELECT id, sku, name, price, currency, 0, position
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[])
             AS listed (id, sku, name, price, currency, position)
        "#,
        &ids as _,
        &skus as _,
        &names as _,
        &prices as _,
        &currencies as _,
        &positions as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn move_stock(
    connection: &mut PgConnection,
    moves: &BTreeMap<Uuid, i64>,
) -> Result<(), sqlx::Error> {
    if moves.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = moves.keys().copied().collect();
    let changes: Vec<_> = moves.values().copied().collect();
    let updated = sqlx::query!(
        r#"
        UPDATE products
        SET available = available + moved.change
        FROM unnest($1::uuid[], $2::bigint[]) AS moved (id, change)
        WHERE product_id = moved.id
        "#,
        &ids as _,
        &changes as _,
    )
    .execute(connection)
    .await?;
    crate::projection::expect_rows(updated.rows_affected(), ids.len(), "products")
}
