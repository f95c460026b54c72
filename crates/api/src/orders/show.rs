//! `GET /v1/orders/{id}`: one order.

use axum::Json;
use axum::extract::State;
use domain::ids::OrderId;
use sqlx::PgPool;

use super::OrderBody;
use crate::params::Path;
use crate::problem::{Code, Problem};

pub(super) async fn show(
    State(queries): State<PgPool>,
    Path(id): Path<OrderId>,
) -> Result<Json<OrderBody>, Problem> {
    let order = projections::orders::get(&queries, id).await?;
    let absent = || Problem::new(Code::NotFound, "No order has this id.");
    order.map(|order| Json(order.into())).ok_or_else(absent)
}
