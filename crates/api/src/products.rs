//! `/v1/products`.

mod browse;
mod list;
mod reprice;
mod show;

use domain::ids::ProductId;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::money::MoneyBody;
use crate::routes::Routes;

pub(crate) fn routes() -> Routes {
    Routes::default()
        .get("/v1/products", browse::operation(), browse::browse)
        .post("/v1/products", list::operation(), list::list)
        .get("/v1/products/{id}", show::operation(), show::show)
        .put("/v1/products/{id}/price", reprice::operation(), reprice::reprice)
}

/// A product, as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Product")]
pub(crate) struct ProductBody {
    id: ProductId,
    /// Unique whatever the case.
    sku: String,
    name: String,
    /// The price of one.
    price: MoneyBody,
    /// How many can still be reserved.
    available: i64,
}

impl From<projections::products::Product> for ProductBody {
    fn from(product: projections::products::Product) -> Self {
        let projections::products::Product { id, sku, name, price, currency, available, .. } =
            product;
        let price = MoneyBody { amount: price, currency };
        Self { id, sku, name, price, available }
    }
}

/// A product as the description of the API shows one.
fn example() -> Value {
    json!({
        "id": "01943c5e-7b1a-7cc0-9d3f-2f6f3f0e8a11",
        "sku": "Mug-1",
        "name": "Mug, blue",
        "price": {"amount": 1250, "currency": "EUR"},
        "available": 12,
    })
}
