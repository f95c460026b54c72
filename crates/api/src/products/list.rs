//! `POST /v1/products`: list a product, with stock of it.

use application::CommandBus;
use application::catalog::ListProduct;
use axum::extract::State;
use domain::ids::ProductId;
use domain::values::{Money, ProductName, Sku, StockLevel};
use serde::Deserialize;

use crate::body::{Body, Object};
use crate::created::Created;
use crate::origin::CommandOrigin;
use crate::problem::Problem;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    sku: Sku,
    name: ProductName,
    price: Object<Money>,
    stock: StockLevel,
}

pub(super) async fn list(
    State(bus): State<CommandBus>,
    CommandOrigin(origin): CommandOrigin,
    Body(request): Body<Request>,
) -> Result<Created<ProductId>, Problem> {
    let Request { sku, name, price: Object(price), stock } = request;
    let command = ListProduct { sku, name, price, stock };
    let (id, receipt) = bus.list_product(&origin, command).await?;
    Ok(Created { collection: "/v1/products", id, receipt })
}
