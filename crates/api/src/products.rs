//! `/v1/products`.

mod browse;
mod list;
mod show;

use axum::Router;
use axum::routing::get;
use domain::ids::ProductId;
use serde::Serialize;

use crate::ApiState;

pub(crate) fn routes() -> Router<ApiState> {
    Router::new()
        .route("/v1/products", get(browse::browse).post(list::list))
        .route("/v1/products/{id}", get(show::show))
}

/// A product, as clients see it.
#[derive(Debug, Serialize)]
pub(crate) struct ProductBody {
    id: ProductId,
    sku: String,
    name: String,
    price: crate::money::MoneyBody,
    available: i64,
}

impl From<projections::products::Product> for ProductBody {
    fn from(product: projections::products::Product) -> Self {
        let projections::products::Product { id, sku, name, price, currency, available, listed: _ } =
            product;
        let price = crate::money::MoneyBody { amount: price, currency };
        Self { id, sku, name, price, available }
    }
}
