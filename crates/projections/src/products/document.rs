//! What events make of a product.

use domain::Event;
use domain::catalog::CatalogEvent;
use domain::ids::ProductId;
use domain::inventory::InventoryEvent;
use eventstore::StreamId;
use sqlx::PgConnection;

use super::queries::{Product, Row};
use crate::document::{Change, Document};
use crate::projection::expect_rows;
use crate::{Entry, Revision, projection};

impl Document for Product {
    type Id = ProductId;

    fn parse(key: &str) -> Option<ProductId> {
        key.parse().ok().map(ProductId::new)
    }

    fn id(event: &Event) -> Option<ProductId> {
        match event {
            Event::Catalog(CatalogEvent::ProductListed(event)) => Some(event.product_id),
            Event::Catalog(CatalogEvent::ProductRepriced(event)) => Some(event.product_id),
            Event::Inventory(InventoryEvent::StockReceived(event)) => Some(event.product_id),
            Event::Inventory(InventoryEvent::StockReserved(event)) => Some(event.product_id),
            Event::Identity(_)
            | Event::Inventory(_)
            | Event::Ordering(_)
            | Event::Organizations(_) => None,
        }
    }

    fn begins(event: &Event) -> bool {
        matches!(event, Event::Catalog(CatalogEvent::ProductListed(_)))
    }

    fn evolve(before: Option<Self>, entry: &Entry<'_>) -> Result<Option<Self>, &'static str> {
        match (before, &entry.event) {
            (None, Event::Catalog(CatalogEvent::ProductListed(event))) => Ok(Some(Self {
                id: event.product_id,
                sku: event.sku.as_str().to_owned(),
                name: event.name.as_str().to_owned(),
                price: event.price.amount(),
                currency: event.price.currency().code().to_owned(),
                available: 0,
                listed: entry.recorded.position,
                sku_key: event.sku.unique_form(),
                revision: Revision::of(entry.recorded),
            })),
            (Some(_), Event::Catalog(CatalogEvent::ProductListed(_))) => {
                Err("the product is listed already")
            }
            (Some(product), Event::Catalog(CatalogEvent::ProductRepriced(event))) => {
                Ok(Some(Self {
                    price: event.price.amount(),
                    currency: event.price.currency().code().to_owned(),
                    revision: Revision::of(entry.recorded),
                    ..product
                }))
            }
            (Some(product), Event::Inventory(InventoryEvent::StockReceived(event))) => {
                moved(product, i64::from(event.quantity.get()), entry)
            }
            (Some(product), Event::Inventory(InventoryEvent::StockReserved(event))) => {
                moved(product, -i64::from(event.quantity.get()), entry)
            }
            (None, Event::Catalog(_) | Event::Identity(_) | Event::Inventory(_)) => {
                Err("nobody has listed the product")
            }
            (before, _) => Ok(before),
        }
    }

    async fn load(
        connection: &mut PgConnection,
        ids: &[ProductId],
    ) -> Result<Vec<(ProductId, Self)>, sqlx::Error> {
        let ids: Vec<_> = ids.iter().map(|id| id.get()).collect();
        let rows = sqlx::query_as!(
            Row,
            r#"
            SELECT product_id, sku, name, price, currency, available, listed_position,
                   sku_key, version, changed_position
            FROM products
            WHERE product_id = ANY ($1)
            "#,
            &ids,
        )
        .fetch_all(connection)
        .await?;
        Ok(rows.into_iter().map(|row| (ProductId::new(row.product_id), row.into())).collect())
    }

    async fn store(
        connection: &mut PgConnection,
        changes: &[Change<Self>],
    ) -> Result<(), sqlx::Error> {
        let now = |change: &'_ Change<Self>| change.after.clone();
        let (new, moved): (Vec<_>, Vec<_>) =
            changes.iter().partition(|change| change.before.is_none());
        let new: Vec<_> = new.into_iter().filter_map(now).collect();
        let moved: Vec<_> = moved.into_iter().filter_map(now).collect();
        insert(&mut *connection, &new).await?;
        update(connection, &moved).await
    }

    fn streams(id: ProductId) -> Vec<StreamId> {
        projection::streams(&["catalog.product", "inventory.stock"], id.get())
    }
}

fn moved(
    product: Product,
    change: i64,
    entry: &Entry<'_>,
) -> Result<Option<Product>, &'static str> {
    let available = product.available + change;
    if available < 0 {
        return Err("more is set aside than there is");
    }
    let revision = product.revision.moved_by(entry.recorded);
    Ok(Some(Product { available, revision, ..product }))
}

async fn insert(connection: &mut PgConnection, products: &[Product]) -> Result<(), sqlx::Error> {
    if products.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = products.iter().map(|product| product.id.get()).collect();
    let skus: Vec<_> = products.iter().map(|product| product.sku.as_str()).collect();
    let names: Vec<_> = products.iter().map(|product| product.name.as_str()).collect();
    let prices: Vec<_> = products.iter().map(|product| product.price).collect();
    let currencies: Vec<_> = products.iter().map(|product| product.currency.as_str()).collect();
    let available: Vec<_> = products.iter().map(|product| product.available).collect();
    let positions: Vec<_> = products.iter().map(|product| product.listed.get()).collect();
    let sku_keys: Vec<_> = products.iter().map(|product| product.sku_key.as_str()).collect();
    let versions: Vec<_> = products.iter().map(|product| product.revision.version.get()).collect();
    let changed: Vec<_> = products.iter().map(|product| product.revision.position.get()).collect();
    sqlx::query!(
        r#"
        INSERT INTO products (product_id, sku, name, price, currency, available, listed_position, sku_key, version, changed_position)
        SELECT *
        FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[], $8::text[], $9::bigint[], $10::bigint[])
        "#,
        &ids,
        &skus as _,
        &names as _,
        &prices,
        &currencies as _,
        &available,
        &positions,
        &sku_keys as _,
        &versions,
        &changed,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn update(connection: &mut PgConnection, products: &[Product]) -> Result<(), sqlx::Error> {
    if products.is_empty() {
        return Ok(());
    }
    let ids: Vec<_> = products.iter().map(|product| product.id.get()).collect();
    let available: Vec<_> = products.iter().map(|product| product.available).collect();
    let prices: Vec<_> = products.iter().map(|product| product.price).collect();
    let currencies: Vec<_> = products.iter().map(|product| product.currency.as_str()).collect();
    let versions: Vec<_> = products.iter().map(|product| product.revision.version.get()).collect();
    let changed: Vec<_> = products.iter().map(|product| product.revision.position.get()).collect();
    let updated = sqlx::query!(
        r#"
        UPDATE products
        SET available = moved.available, price = moved.price, currency = moved.currency,
            version = moved.version, changed_position = moved.changed_position
        FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::bigint[], $6::bigint[])
            AS moved (id, available, price, currency, version, changed_position)
        WHERE product_id = moved.id
        "#,
        &ids,
        &available,
        &prices,
        &currencies as _,
        &versions,
        &changed,
    )
    .execute(connection)
    .await?;
    expect_rows(updated.rows_affected(), ids.len(), "products")
}
