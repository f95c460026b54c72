//! What can be asked of the read model of orders.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::ids::{OrderId, OrganizationId, ProductId, UserId};
use eventstore::{Position, StreamVersion};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;
use sqlx::types::Json;
use uuid::Uuid;

use crate::{Revision, Tenant};

/// An order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// The user who placed it; none if nobody was logged in.
    pub customer: Option<UserId>,
    /// For which organization, if for one.
    pub tenant: Option<OrganizationId>,
    /// Where it stands.
    pub status: Status,
    /// In minor units.
    pub total: i64,
    /// Of all its amounts.
    pub currency: String,
    /// When the customer asked.
    pub placed_at: DateTime<Utc>,
    /// Where the log says so; lists are in this order.
    pub placed: Position,
    /// Which state of it this is.
    pub revision: Revision,
    /// What is asked for, as it was given.
    pub lines: Vec<OrderLine>,
    /// Why it was rejected.
    pub shortages: Vec<Shortage>,
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It waits for its reservation.
    Placed,
    /// It will be fulfilled.
    Confirmed,
    /// Something was short.
    Rejected,
}

/// Some of one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OrderLine {
    /// The product.
    pub product_id: ProductId,
    /// Its SKU.
    pub sku: String,
    /// What people called it.
    pub name: String,
    /// How many.
    pub quantity: i64,
    /// The price of one, in minor units.
    pub unit_price: i64,
}

/// A product of which less was available than the order asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// The product.
    pub product_id: ProductId,
    /// How many the order asks for.
    pub requested: u32,
    /// How many there were.
    pub available: u64,
}

/// Some of the orders, in the order that was asked for.
#[derive(Debug, Clone)]
pub struct Page {
    /// The orders.
    pub orders: Vec<Order>,
    /// Behind what the next page begins, if there is one.
    pub next: Option<i64>,
}

pub(super) struct Row {
    pub(super) order_id: Uuid,
    pub(super) customer: Option<Uuid>,
    pub(super) tenant: Option<Uuid>,
    pub(super) status: String,
    pub(super) total: i64,
    pub(super) currency: String,
    pub(super) placed_at: DateTime<Utc>,
    pub(super) placed_position: i64,
    pub(super) version: i64,
    pub(super) changed_position: i64,
    pub(super) shortages: Json<Vec<Shortage>>,
}

/// The order `id`, if the read model knows it and `tenant` sees it.
///
/// # Errors
/// The database cannot be reached.
pub async fn get(pool: &PgPool, tenant: Tenant, id: OrderId) -> Result<Option<Order>, sqlx::Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        SELECT seen.order_id, customer, seen.tenant, status, total, currency, placed_at, placed_position, version,
               changed_position, shortages AS "shortages: Json<Vec<Shortage>>"
        FROM set_config('annals.tenant', $2, true) AS tenant (told), LATERAL (
            SELECT * FROM orders_v4.orders WHERE told IS NOT NULL AND order_id = $1 LIMIT 1
        ) AS seen
        "#,
        id.get(),
        tenant.to_string(),
    )
    .fetch_all(pool)
    .await?;
    Ok(with_lines(pool, tenant, rows).await?.pop())
}

/// Which orders are asked for, and in which order.
#[derive(Debug, Clone, Copy)]
pub struct Listing {
    /// Only what is of these.
    pub tenant: Tenant,
    /// Only what this user placed.
    pub customer: Option<UserId>,
    /// Only what stands there.
    pub status: Option<Status>,
    /// In the order they were placed; else the newest first.
    pub oldest_first: bool,
}

impl Listing {
    /// Everything that `tenant` sees, the newest first.
    #[must_use]
    pub const fn of(tenant: Tenant) -> Self {
        Self { tenant, customer: None, status: None, oldest_first: false }
    }
}

/// One query for each sort, so that each is checked and planned by itself.
macro_rules! rows {
    ($pool:expr, $after:expr, $status:expr, $limit:expr, $customer:expr, $tenant:expr, $compare:literal $direction:literal) => {
        sqlx::query_as!(
            Row,
            "SELECT order_id, customer, seen.tenant, status, total, currency, placed_at, placed_position, version, "
                + "changed_position, shortages AS \"shortages: Json<Vec<Shortage>>\" "
                + "FROM set_config('annals.tenant', $5, true) AS tenant (told), LATERAL ("
                + "SELECT * FROM orders_v4.orders AS o WHERE told IS NOT NULL "
                + "AND ($1::bigint IS NULL OR placed_position "
                + $compare
                + " $1) "
                + "AND ($2::text IS NULL OR status = $2) "
                + "AND ($4::uuid IS NULL OR customer = $4) "
                + "AND ($6::boolean OR o.tenant IS NOT DISTINCT FROM $7::uuid) "
                + "ORDER BY placed_position "
                + $direction
                + " LIMIT $3) AS seen ORDER BY placed_position "
                + $direction,
            $after,
            $status,
            $limit,
            $customer,
            $tenant.to_string(),
            $tenant == Tenant::All,
            only($tenant),
        )
        .fetch_all($pool)
        .await?
    };
}

/// The organization whose rows are asked for.
fn only(tenant: Tenant) -> Option<Uuid> {
    match tenant {
        Tenant::All => None,
        Tenant::Of(organization) => organization.map(OrganizationId::get),
    }
}

/// At most `limit` orders of `listing`, beginning behind the one that was placed at `after`.
///
/// # Errors
/// The database cannot be reached.
pub async fn list(
    pool: &PgPool,
    listing: Listing,
    after: Option<i64>,
    limit: u16,
) -> Result<Page, sqlx::Error> {
    let status = listing.status.map(Status::as_str);
    let customer = listing.customer.map(UserId::get);
    let wanted = i64::from(limit) + 1;
    let mut rows = if listing.oldest_first {
        rows!(pool, after, status, wanted, customer, listing.tenant, ">" "ASC")
    } else {
        rows!(pool, after, status, wanted, customer, listing.tenant, "<" "DESC")
    };
    let more = rows.len() > usize::from(limit);
    rows.truncate(limit.into());
    let next = rows.last().filter(|_| more).map(|row| row.placed_position);
    Ok(Page { orders: with_lines(pool, listing.tenant, rows).await?, next })
}

async fn with_lines(
    pool: &PgPool,
    tenant: Tenant,
    rows: Vec<Row>,
) -> Result<Vec<Order>, sqlx::Error> {
    let ids: Vec<_> = rows.iter().map(|row| row.order_id).collect();
    let lines = sqlx::query!(
        r#"
        SELECT order_id, product_id, sku, name, quantity, unit_price
        FROM set_config('annals.tenant', $2, true) AS tenant (told), LATERAL (
            SELECT * FROM orders_v4.order_lines
            WHERE told IS NOT NULL AND order_id = ANY ($1)
            ORDER BY order_id, line
            OFFSET 0
        ) AS seen
        ORDER BY order_id, line
        "#,
        &ids,
        tenant.to_string(),
    )
    .fetch_all(pool)
    .await?;
    let mut by_order: BTreeMap<Uuid, Vec<OrderLine>> = BTreeMap::new();
    for line in lines {
        by_order.entry(line.order_id).or_default().push(OrderLine {
            product_id: ProductId::new(line.product_id),
            sku: line.sku,
            name: line.name,
            quantity: line.quantity,
            unit_price: line.unit_price,
        });
    }
    let orders = rows.into_iter().map(|row| {
        let lines = by_order.remove(&row.order_id).unwrap_or_default();
        row.order(lines)
    });
    Ok(orders.collect())
}

impl Row {
    pub(super) fn order(self, lines: Vec<OrderLine>) -> Order {
        Order {
            id: OrderId::new(self.order_id),
            customer: self.customer.map(UserId::new),
            tenant: self.tenant.map(OrganizationId::new),
            status: Status::named(&self.status).unwrap_or(Status::Placed),
            total: self.total,
            currency: self.currency,
            placed_at: self.placed_at,
            placed: Position::new(self.placed_position),
            revision: Revision {
                version: StreamVersion::new(self.version),
                position: Position::new(self.changed_position),
            },
            lines,
            shortages: self.shortages.0,
        }
    }
}

impl Status {
    /// Its name in the database and for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Placed => "placed",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
        }
    }

    /// The one that is called so.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Placed, Self::Confirmed, Self::Rejected]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}
