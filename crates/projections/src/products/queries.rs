//! What can be asked of the read model of products.

use domain::ids::ProductId;
use eventstore::{Position, StreamVersion};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use uuid::Uuid;

use crate::Revision;

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
    /// Its SKU in the form in which it is unique; lists by SKU are in the order of its bytes.
    pub sku_key: String,
    /// Which state of it this is.
    pub revision: Revision,
}

/// Some of the products, in the order that was asked for.
#[derive(Debug, Clone)]
pub struct Page {
    /// The products.
    pub products: Vec<Product>,
    /// Behind what the next page begins, if there is one.
    pub next: Option<After>,
}

pub(super) struct Row {
    pub(super) product_id: Uuid,
    pub(super) sku: String,
    pub(super) name: String,
    pub(super) price: i64,
    pub(super) currency: String,
    pub(super) available: i64,
    pub(super) listed_position: i64,
    pub(super) sku_key: String,
    pub(super) version: i64,
    pub(super) changed_position: i64,
}

/// The product `id`, if the read model knows it.
///
/// # Errors
/// The database cannot be reached.
pub async fn get(pool: &PgPool, id: ProductId) -> Result<Option<Product>, sqlx::Error> {
    let row = sqlx::query_as!(
        Row,
        r#"
        SELECT product_id, sku, name, price, currency, available, listed_position,
               sku_key, version, changed_position
        FROM products_v2.products
        WHERE product_id = $1
        "#,
        id.get(),
    )
    .fetch_all(pool)
    .await?
    .pop();
    Ok(row.map(Product::from))
}

/// Which products are asked for, and in which order.
#[derive(Debug, Clone, Default)]
pub struct Listing {
    /// Only the one with this SKU, in the form in which it is unique.
    pub sku_key: Option<String>,
    /// By what they are sorted.
    pub sort: Sort,
}

/// By what products are sorted: what never changes, so that pages neither repeat nor miss one.
#[derive(Debug, Clone, Copy, Default)]
pub enum Sort {
    /// In the order they were listed.
    #[default]
    Listed,
    /// The newest first.
    ListedDescending,
    /// By SKU, in the order of its bytes.
    Sku,
    /// By SKU, the last first.
    SkuDescending,
}

/// Behind what a page begins: where the product before it was listed, or its SKU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum After {
    /// For sorts by listing.
    Listed(i64),
    /// For sorts by SKU.
    Sku(String),
}

/// One query for each sort, so that each is checked and planned by itself.
macro_rules! rows {
    ($pool:expr, $listing:expr, $after:expr, $limit:expr, $column:literal $compare:literal $type:literal, $direction:literal) => {
        sqlx::query_as!(
            Row,
            "SELECT product_id, sku, name, price, currency, available, listed_position, "
                + "sku_key, version, changed_position "
                + "FROM products_v2.products "
                + "WHERE ($1::"
                + $type
                + " IS NULL OR "
                + $column
                + $compare
                + "$1) "
                + "AND ($2::text IS NULL OR sku_key = $2) "
                + "ORDER BY "
                + $column
                + $direction
                + " LIMIT $3",
            $after,
            $listing.sku_key,
            $limit,
        )
        .fetch_all($pool)
        .await?
    };
}

/// At most `limit` products of `listing`, beginning behind `after`, which is of its sort.
///
/// # Errors
/// The database cannot be reached.
pub async fn list(
    pool: &PgPool,
    listing: &Listing,
    after: Option<After>,
    limit: u16,
) -> Result<Page, sqlx::Error> {
    let (listed, sku) = match after {
        Some(After::Listed(position)) => (Some(position), None),
        Some(After::Sku(sku)) => (None, Some(sku)),
        None => (None, None),
    };
    let wanted = i64::from(limit) + 1;
    let mut rows = match listing.sort {
        Sort::Listed => rows!(pool, listing, listed, wanted, "listed_position" " > " "bigint", ""),
        Sort::ListedDescending => {
            rows!(pool, listing, listed, wanted, "listed_position" " < " "bigint", " DESC")
        }
        Sort::Sku => rows!(pool, listing, sku, wanted, "sku_key" " > " "text", ""),
        Sort::SkuDescending => rows!(pool, listing, sku, wanted, "sku_key" " < " "text", " DESC"),
    };
    let more = rows.len() > usize::from(limit);
    rows.truncate(limit.into());
    let next = rows.last().filter(|_| more).map(|row| match listing.sort {
        Sort::Listed | Sort::ListedDescending => After::Listed(row.listed_position),
        Sort::Sku | Sort::SkuDescending => After::Sku(row.sku_key.clone()),
    });
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
            sku_key: row.sku_key,
            revision: Revision {
                version: StreamVersion::new(row.version),
                position: Position::new(row.changed_position),
            },
        }
    }
}
