//! `GET /v1/products/{id}`: one product, as it is or as it was.

use axum::Json;
use axum::extract::State;
use domain::ids::ProductId;
use projections::products::{self, PRODUCTS, Product};

use super::ProductBody;
use crate::parameters::Parameters;
use crate::params::Path;
use crate::problem::{Code, Problem};
use crate::queries::{MinPosition, Queries};

pub(super) async fn show(
    State(queries): State<Queries>,
    Path(id): Path<ProductId>,
    min_position: MinPosition,
    parameters: Parameters,
) -> Result<Json<ProductBody>, Problem> {
    let parameters = parameters.only(&["as_of"])?;
    let product = match parameters.one("as_of", str::parse)? {
        Some(as_of) => queries.document::<Product>(&PRODUCTS, id, as_of).await?,
        None => {
            let key = id.to_string();
            products::get(queries.fresh(&PRODUCTS, Some(&key), min_position).await?, id).await?
        }
    };
    let absent = || Problem::new(Code::NotFound, "No product has this id.");
    product.map(|product| Json(product.into())).ok_or_else(absent)
}
