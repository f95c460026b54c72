//! `GET /v1/orders`: orders, the newest first.

use axum::Json;
use axum::extract::State;
use sqlx::PgPool;

use super::OrderBody;
use crate::page::{PageBody, PageQuery};
use crate::problem::Problem;

pub(super) async fn browse(
    State(queries): State<PgPool>,
    PageQuery { limit, after }: PageQuery,
) -> Result<Json<PageBody<OrderBody>>, Problem> {
    let page = projections::orders::list(&queries, after, limit).await?;
    let items = page.orders.into_iter().map(OrderBody::from).collect();
    Ok(Json(PageBody::new(items, page.next)))
}
