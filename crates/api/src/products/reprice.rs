//! `PUT /v1/products/{id}/price`: give a product another price.

use application::CommandBus;
use application::catalog::RepriceProduct;
use axum::extract::State;
use domain::catalog::PRODUCT;
use domain::ids::ProductId;
use domain::values::Money;
use serde_json::json;

use crate::body::Body;
use crate::etag::IfMatch;
use crate::layers::Key;
use crate::operation::{Operation, Parameter};
use crate::origin::CommandOrigin;
use crate::params::Path;
use crate::principal::Permission;
use crate::problem::{Code, Problem};
use crate::receipts::Changed;

pub(super) fn operation() -> Operation {
    // What it is bound to stands in the way of a second effect.
    let key = Key::Optional;
    Operation::command("repriceProduct", "Change a price", Permission::ManageProducts, key)
        .takes(Parameter::id("The product."))
        .bound()
        .with_body::<Money>(json!({"amount": 990, "currency": "EUR"}))
        .changes("It has this price now; orders keep the one they were placed at.")
        .refused_as(&[Code::NotFound, Code::InvalidParameter])
}

pub(super) async fn reprice(
    State(bus): State<CommandBus>,
    Path(product_id): Path<ProductId>,
    if_match: IfMatch,
    CommandOrigin(origin): CommandOrigin,
    Body(price): Body<Money>,
) -> Result<Changed, Problem> {
    let seen = if_match.version()?;
    let receipt = bus.reprice_product(&origin, RepriceProduct { product_id, price }, seen).await?;
    Ok(Changed { category: PRODUCT, receipt })
}
