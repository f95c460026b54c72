//! `GET /v1/products/{id}`: one product, as it is or as it was.

use axum::extract::State;
use axum::response::Response;
use domain::ids::ProductId;
use projections::products::{self, PRODUCTS, Product};

use super::ProductBody;
use crate::etag::ETag;
use crate::if_none_match::IfNoneMatch;
use crate::operation::{Operation, Parameter};
use crate::parameters::Parameters;
use crate::params::Path;
use crate::principal::Permission;
use crate::problem::{Code, Problem};
use crate::queries::{MinPosition, Queries, read_moment};

pub(super) fn operation() -> Operation {
    Operation::query("showProduct", "One product, as it is or as it was", Permission::ReadProducts)
        .takes(Parameter::id("The product."))
        .at_moments()
        .fresh()
        .conditional()
        .shows::<ProductBody>("The product.", super::example())
        .refused_as(&[Code::NotFound])
}

pub(super) async fn show(
    State(queries): State<Queries>,
    Path(id): Path<ProductId>,
    min_position: MinPosition,
    if_none_match: IfNoneMatch,
    parameters: Parameters,
) -> Result<Response, Problem> {
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
    let product = product.ok_or_else(|| Problem::new(Code::NotFound, absent))?;
    Ok(ETag::of(product.revision).show(&if_none_match, ProductBody::from(product)))
}
