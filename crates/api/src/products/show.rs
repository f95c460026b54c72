//! `GET /v1/products/{id}`: one product, as it is or as it was.

use axum::Json;
use axum::extract::State;
use domain::ids::ProductId;
use projections::products::{self, PRODUCTS, Product};

use super::ProductBody;
use crate::parameters::Parameters;
use crate::params::Path;
use crate::problem::{Code, Problem};
use crate::queries::{MinPosition, Queries, read_moment};

pub(super) async fn show(
    State(queries): State<Queries>,
    Path(id): Path<ProductId>,
    min_position: MinPosition,
    parameters: Parameters,
) -> Result<Json<ProductBody>, Problem> {
    let parameters = parameters.only(&["as_of"])?;
    let moment = parameters.one("as_of", read_moment)?;
    let (product, absent) = if let Some(moment) = moment {
        let product = queries.document::<Product>(&PRODUCTS, id, moment).await?;
        (product, "No product had this id then.")
    } else {
        let key = id.to_string();
        let queries = queries.fresh(&PRODUCTS, Some(&key), min_position).await?;
        (products::get(queries, id).await?, "No product has this id.")
    };
    product.map(|product| Json(product.into())).ok_or_else(|| Problem::new(Code::NotFound, absent))
}
