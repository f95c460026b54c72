//! What can be asked of the read model of products.

use domain::ids::ProductId;
use eventstore::Position;
use serde::Serialize;
use sqlx::PgPool;
use uuid::Uuid;

/// A product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Product {
    /// Its id.
    pub id: ProductId,
    /// Its SKU.
    pub sku: String,
    /// What people call it.
    pub name: String,
    /// The price of one, in minor units.
    pub price: i64,
    /// Of the price.
    pub currency: String,
    /// How many can still be reserved.
    pub available: i64,
    /// Where the log says that it is offered; lists are in this order.
    pub listed: Position,
}

/// Some of the products, in the order they were listed.
#[derive(Debug, Clone)]
pub struct Page {
    /// The products.
    pub products: Vec<Product>,
    /// Where the next page begins, if there is one.
    pub next: Option<i64>,
}

pub(super) struct Row {
    pub(super) product_id: Uuid,
    pub(super) sku: String,
    pub(super) name: String,
    pub(super) price: i64,
    pub(super) currency: String,
    pub(super) available: i64,
    pub(super) listed_position: i64,
}

/// The product `id`, if the read model knows it.
///
/// # Errors
/// The database cannot be reached.
pub async fn get(pool: &PgPool, id: ProductId) -> Result<Option<Product>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"
        SELECT product_id, sku, name, price, currency, available, listed_position
        FROM products_v1.products
        WHERE product_id = $1
        "#,
        id.get(),
    )
    .fetch_all(pool)
    .await?
    .pop();
    Ok(row.map(Product::from))
}

/// At most `limit` products, in the order they were listed, beginning after `after`.
///
/// # Errors
/// The database cannot be reached.
pub async fn list(pool: &PgPool, after: Option<i64>, limit: u16) -> Result<Page, sqlx::Error> {
    let mut rows = sqlx::query_as!(
        Row,
        r#"
        SELECT product_id, sku, name, price, currency, available, listed_position
        FROM products_v1.products
        WHERE $1::bigint IS NULL OR listed_position > $1
        ORDER BY listed_position
        LIMIT $2
        "#,
        after,
        i64::from(limit) + 1,
    )
    .fetch_all(pool)
    .await?;
    let more = rows.len() > usize::from(limit);
    rows.truncate(limit.into());
    let next = rows.last().filter(|_| more).map(|row| row.listed_position);
    Ok(Page { products: rows.into_iter().map(Product::from).collect(), next })
}

impl From<Row> for Product {
    fn from(row: Row) -> Self {
        Self {
            id: ProductId::new(row.product_id),
            sku: row.sku,
            name: row.name,
            price: row.price,
            currency: row.currency,
            available: row.available,
            listed: Position::new(row.listed_position),
        }
    }
}
