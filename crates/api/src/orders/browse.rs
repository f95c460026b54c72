//! `GET /v1/orders`: orders, the newest first unless asked otherwise.

use axum::extract::State;
use axum::{Extension, Json};
use projections::orders::{Listing, ORDERS, Status};
use serde_json::json;

use super::OrderBody;
use crate::cursor::Cursors;
use crate::operation::{Operation, Parameter};
use crate::page::{Page, PageBody};
use crate::parameters::Parameters;
use crate::principal::{Permission, Principal, Scope};
use crate::problem::Problem;
use crate::queries::{MinPosition, Queries};

const STATUSES: &[&str] = &["placed", "confirmed", "rejected"];
const SORTS: &[&str] = &["-placed", "placed"];

pub(super) fn operation() -> Operation {
    let example = json!({"items": [super::example()]});
    Operation::query("listOrders", "Orders, page by page", Permission::ReadOrders)
        .for_owners()
        .by_tenant()
        .takes(Parameter::choice("status", "Only orders that stand there.", STATUSES))
        .takes(Parameter::choice("sort", "The newest first (`-placed`) or last.", SORTS))
        .paged()
        .fresh()
        .shows::<PageBody<OrderBody>>("Some of the orders.", example)
}

pub(super) async fn browse(
    State(queries): State<Queries>,
    State(cursors): State<Cursors>,
    Extension(principal): Extension<Principal>,
    min_position: MinPosition,
    parameters: Parameters,
) -> Result<Json<PageBody<OrderBody>>, Problem> {
    let parameters = parameters.only(&["status", "sort", "limit", "cursor"])?;
    let status = parameters.choice("status", STATUSES)?.and_then(Status::named);
    let oldest_first = parameters.choice("sort", SORTS)? == Some("placed");
    let page = Page::of(&parameters, &cursors)?;
    let queries = queries.fresh(&ORDERS, None, min_position).await?;
    let Scope { tenant, owner: customer } = principal.scope(Permission::ReadOrders)?;
    let listing = Listing { tenant, customer, status, oldest_first };
    let found = projections::orders::list(queries, listing, page.after, page.limit).await?;
    let items = found.orders.into_iter().map(OrderBody::from).collect();
    page.holds(items, found.next).map(Json)
}
