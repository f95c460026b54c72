//! `POST /v1/orders`: place an order.

use application::CommandBus;
use application::ordering::PlaceOrder;
use axum::extract::State;
use domain::ids::OrderId;
use domain::ordering::{RequestedLine, RequestedLines};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::body::{Body, Object};
use crate::created::Created;
use crate::origin::CommandOrigin;
use crate::problem::Problem;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    #[serde(deserialize_with = "lines")]
    lines: RequestedLines,
}

fn lines<'de, D: Deserializer<'de>>(deserializer: D) -> Result<RequestedLines, D::Error> {
    let lines = Vec::<Object<RequestedLine>>::deserialize(deserializer)?;
    let lines: Vec<_> = lines.into_iter().map(|Object(line)| line).collect();
    lines.try_into().map_err(D::Error::custom)
}

pub(super) async fn place(
    State(bus): State<CommandBus>,
    CommandOrigin(origin): CommandOrigin,
    Body(Request { lines }): Body<Request>,
) -> Result<Created<OrderId>, Problem> {
    let (id, receipt) = bus.place_order(&origin, PlaceOrder { lines }).await?;
    Ok(Created { collection: "/v1/orders", id, receipt })
}
