//! `POST /v1/orders`: place an order.

use application::CommandBus;
use application::ordering::PlaceOrder;
use axum::extract::State;
use domain::ids::OrderId;
use domain::ordering::RequestedLines;
use serde::Deserialize;

use crate::body::Body;
use crate::created::Created;
use crate::origin::CommandOrigin;
use crate::problem::Problem;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    lines: RequestedLines,
}

pub(super) async fn place(
    State(bus): State<CommandBus>,
    CommandOrigin(origin): CommandOrigin,
    Body(Request { lines }): Body<Request>,
) -> Result<Created<OrderId>, Problem> {
    let (id, receipt) = bus.place_order(&origin, PlaceOrder { lines }).await?;
    Ok(Created { collection: "/v1/orders", id, receipt })
}
