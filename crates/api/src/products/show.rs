//! `GET /v1/products/{id}`: one product.

use axum::Json;
use axum::extract::State;
use domain::ids::ProductId;
use sqlx::PgPool;

use super::ProductBody;
use crate::params::Path;
use crate::problem::{Code, Problem};

pub(super) async fn show(
    State(queries): State<PgPool>,
    Path(id): Path<ProductId>,
) -> Result<Json<ProductBody>, Problem> {
    let product = projections::products::get(&queries, id).await?;
    let absent = || Problem::new(Code::NotFound, "No product has this id.");
    product.map(|product| Json(product.into())).ok_or_else(absent)
}
