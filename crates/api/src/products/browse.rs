//! `GET /v1/products`: products in the order they were listed.

use axum::Json;
use axum::extract::State;
use sqlx::PgPool;

use super::ProductBody;
use crate::page::{PageBody, PageQuery};
use crate::problem::Problem;

pub(super) async fn browse(
    State(queries): State<PgPool>,
    PageQuery { limit, after }: PageQuery,
) -> Result<Json<PageBody<ProductBody>>, Problem> {
    let page = projections::products::list(&queries, after, limit).await?;
    let items = page.products.into_iter().map(ProductBody::from).collect();
    Ok(Json(PageBody::new(items, page.next)))
}
