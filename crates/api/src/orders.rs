//! `/v1/orders`.

mod browse;
mod place;
mod show;

use chrono::{DateTime, Utc};
use domain::ids::{OrderId, ProductId};
use projections::orders::{Order, OrderLine, Shortage};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::money::MoneyBody;
use crate::routes::Routes;

pub(crate) fn routes() -> Routes {
    Routes::default()
        .get("/v1/orders", browse::operation(), browse::browse)
        .post("/v1/orders", place::operation(), place::place)
        .get("/v1/orders/{id}", show::operation(), show::show)
}

/// An order, as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Order")]
pub(crate) struct OrderBody {
    id: OrderId,
    #[schemars(with = "StatusName")]
    status: &'static str,
    /// The sum of all lines.
    total: MoneyBody,
    placed_at: DateTime<Utc>,
    lines: Vec<LineBody>,
    /// Why it was rejected.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(default)]
    shortages: Vec<ShortageBody>,
}

/// Where an order stands.
#[derive(JsonSchema)]
#[schemars(rename = "OrderStatus", rename_all = "lowercase")]
#[expect(dead_code, reason = "describes what `Status::as_str` says")]
enum StatusName {
    Placed,
    Confirmed,
    Rejected,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OrderLine")]
struct LineBody {
    product_id: ProductId,
    sku: String,
    name: String,
    quantity: i64,
    unit_price: MoneyBody,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Shortage")]
struct ShortageBody {
    product_id: ProductId,
    requested: u32,
    available: u64,
}

impl From<Order> for OrderBody {
    fn from(order: Order) -> Self {
        let Order { id, status, total, currency, placed_at, lines, shortages, .. } = order;
        let status = status.as_str();
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

/// An order as the description of the API shows one.
fn example() -> Value {
    json!({
        "id": "01943c5e-8f22-7d10-8a55-0c3b9d1e4f22",
        "status": "confirmed",
        "total": {"amount": 2500, "currency": "EUR"},
        "placed_at": "2026-11-21T10:15:30.123456Z",
        "lines": [{
            "product_id": "01943c5e-7b1a-7cc0-9d3f-2f6f3f0e8a11",
            "sku": "Mug-1",
            "name": "Mug, blue",
            "quantity": 2,
            "unit_price": {"amount": 1250, "currency": "EUR"},
        }],
    })
}
