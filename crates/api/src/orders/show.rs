//! `GET /v1/orders/{id}`: one order, as it is or as it was.

use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use domain::ids::OrderId;
use projections::orders::{self, ORDERS, Order};

use super::OrderBody;
use crate::etag::ETag;
use crate::if_none_match::IfNoneMatch;
use crate::operation::{Operation, Parameter};
use crate::parameters::Parameters;
use crate::params::Path;
use crate::principal::{Permission, Principal};
use crate::problem::{Code, Problem};
use crate::queries::{MinPosition, Queries, read_moment};

pub(super) fn operation() -> Operation {
    Operation::query("showOrder", "One order, as it is or as it was", Permission::ReadOrders)
        .for_owners()
        .by_tenant()
        .takes(Parameter::id("The order."))
        .at_moments()
        .fresh()
        .conditional()
        .shows::<OrderBody>("The order.", super::example())
        .refused_as(&[Code::NotFound])
}

pub(super) async fn show(
    State(queries): State<Queries>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<OrderId>,
    min_position: MinPosition,
    if_none_match: IfNoneMatch,
    parameters: Parameters,
) -> Result<Response, Problem> {
    let parameters = parameters.only(&["as_of"])?;
    let moment = parameters.one("as_of", read_moment)?;
    let scope = principal.scope(Permission::ReadOrders)?;
    let (order, absent) = if let Some(moment) = moment {
        let order = queries.document::<Order>(&ORDERS, id, moment).await?;
        (order, "No order had this id then.")
    } else {
        let key = id.to_string();
        let queries = queries.fresh(&ORDERS, Some(&key), min_position).await?;
        (orders::get(queries, scope.tenant, id).await?, "No order has this id.")
    };
    // Whose order it is is not told to who may not see it: it is not there.
    let order = order.filter(|order| scope.sees(order.tenant, order.customer));
    let order = order.ok_or_else(|| Problem::new(Code::NotFound, absent))?;
    Ok(ETag::of(order.revision).show(&if_none_match, OrderBody::from(order)))
}
