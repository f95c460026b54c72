//! `GET /v1/orders/{id}`: one order, as it is or as it was.

use axum::Json;
use axum::extract::State;
use domain::ids::OrderId;
use projections::orders::{self, ORDERS, Order};

use super::OrderBody;
use crate::parameters::Parameters;
use crate::params::Path;
use crate::problem::{Code, Problem};
use crate::queries::{MinPosition, Queries, read_moment};

pub(super) async fn show(
    State(queries): State<Queries>,
    Path(id): Path<OrderId>,
    min_position: MinPosition,
    parameters: Parameters,
) -> Result<Json<OrderBody>, Problem> {
    let parameters = parameters.only(&["as_of"])?;
    let moment = parameters.one("as_of", read_moment)?;
    let (order, absent) = if let Some(moment) = moment {
        let order = queries.document::<Order>(&ORDERS, id, moment).await?;
        (order, "No order had this id then.")
    } else {
        let key = id.to_string();
        let queries = queries.fresh(&ORDERS, Some(&key), min_position).await?;
        (orders::get(queries, id).await?, "No order has this id.")
    };
    order.map(|order| Json(order.into())).ok_or_else(|| Problem::new(Code::NotFound, absent))
}
