//! `GET /v1/orders`: orders, the newest first.

use axum::Json;
use axum::extract::State;
use projections::orders::ORDERS;

use super::OrderBody;
use crate::page::{PageBody, PageQuery};
use crate::problem::Problem;
use crate::queries::{MinPosition, Queries};

pub(super) async fn browse(
    State(queries): State<Queries>,
    min_position: MinPosition,
    PageQuery { limit, after }: PageQuery,
) -> Result<Json<PageBody<OrderBody>>, Problem> {
    let queries = queries.fresh(&ORDERS, None, min_position).await?;
    let page = projections::orders::list(queries, after, limit).await?;
    let items = page.orders.into_iter().map(OrderBody::from).collect();
    Ok(Json(PageBody::new(items, page.next)))
}
