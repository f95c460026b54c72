//! `/v1/orders`.

mod browse;
mod place;
mod show;

use axum::Router;
use axum::routing::get;
use chrono::{DateTime, Utc};
use domain::ids::{OrderId, ProductId};
use projections::orders::{Order, OrderLine, Shortage, Status};
use serde::Serialize;

use crate::ApiState;
use crate::money::MoneyBody;

pub(crate) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/v1/orders", get(browse::browse).post(place::place))
        .route("/v1/orders/{id}", get(show::show))
}

/// An order, as clients see it.
#[derive(Debug, Serialize)]
pub(crate) struct OrderBody {
    id: OrderId,
    status: &'static str,
    total: MoneyBody,
    placed_at: DateTime<Utc>,
    lines: Vec<LineBody>,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shortages: Vec<ShortageBody>,
}

#[derive(Debug, Serialize)]
struct LineBody {
    product_id: ProductId,
    sku: String,
    name: String,
    quantity: i64,
    unit_price: MoneyBody,
}

#[derive(Debug, Serialize)]
struct ShortageBody {
    product_id: ProductId,
    requested: u32,
    available: u64,
}

impl From<Order> for OrderBody {
    fn from(order: Order) -> Self {
        let Order { id, status, total, currency, placed_at, lines, shortages, placed: _ } = order;
        let status = match status {
            Status::Placed => "placed",
            Status::Confirmed => "confirmed",
            Status::Rejected => "rejected",
        };
        let lines = lines.into_iter().map(|line| {
            let OrderLine { product_id, sku, name, quantity, unit_price } = line;
            let unit_price = MoneyBody { amount: unit_price, currency: currency.clone() };
            LineBody { product_id, sku, name, quantity, unit_price }
        });
        let shortages = shortages.into_iter().map(|shortage| {
            let Shortage { product_id, requested, available } = shortage;
            ShortageBody { product_id, requested, available }
        });
        Self {
            id,
            status,
            placed_at,
            lines: lines.collect(),
            shortages: shortages.collect(),
            total: MoneyBody { amount: total, currency },
        }
    }
}
