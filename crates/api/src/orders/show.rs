//! `GET /v1/orders/{id}`: one order, as it is or as it was.

use axum::Json;
use axum::extract::State;
use domain::ids::OrderId;
use projections::orders::{self, ORDERS, Order};

use super::OrderBody;
use crate::parameters::Parameters;
use crate::params::Path;
use crate::problem::{Code, Problem};
use crate::queries::{MinPosition, Queries};

pub(super) async fn show(
    State(queries): State<Queries>,
    Path(id): Path<OrderId>,
    min_position: MinPosition,
    parameters: Parameters,
) -> Result<Json<OrderBody>, Problem> {
    let parameters = parameters.only(&["as_of"])?;
    let order = match parameters.one("as_of", str::parse)? {
        Some(as_of) => queries.document::<Order>(&ORDERS, id, as_of).await?,
        None => {
            let key = id.to_string();
            orders::get(queries.fresh(&ORDERS, Some(&key), min_position).await?, id).await?
        }
    };
    let absent = || Problem::new(Code::NotFound, "No order has this id.");
    order.map(|order| Json(order.into())).ok_or_else(absent)
}
