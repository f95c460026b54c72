//! `GET /v1/products`: products in the order they were listed.

use axum::Json;
use axum::extract::State;
use projections::products::PRODUCTS;

use super::ProductBody;
use crate::page::{PageBody, PageQuery};
use crate::problem::Problem;
use crate::queries::{MinPosition, Queries};

pub(super) async fn browse(
    State(queries): State<Queries>,
    min_position: MinPosition,
    PageQuery { limit, after }: PageQuery,
) -> Result<Json<PageBody<ProductBody>>, Problem> {
    let queries = queries.fresh(&PRODUCTS, None, min_position).await?;
    let page = projections::products::list(queries, after, limit).await?;
    let items = page.products.into_iter().map(ProductBody::from).collect();
    Ok(Json(PageBody::new(items, page.next)))
}
