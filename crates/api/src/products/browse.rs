//! `GET /v1/products`: products in the order they were listed, or by SKU.

use axum::Json;
use axum::extract::State;
use domain::values::Sku;
use projections::products::{After, Listing, PRODUCTS, Sort};
use serde_json::json;

use super::ProductBody;
use crate::cursor::Cursors;
use crate::operation::{Operation, Parameter};
use crate::page::{Page, PageBody};
use crate::parameters::Parameters;
use crate::principal::Permission;
use crate::problem::Problem;
use crate::queries::{MinPosition, Queries};

const SORTS: &[&str] = &["listed", "-listed", "sku", "-sku"];

pub(super) fn operation() -> Operation {
    let example = json!({"items": [super::example()]});
    let sku = json!({"type": "string", "pattern": "^[0-9A-Za-z._-]{1,64}$"});
    Operation::query("listProducts", "Products, page by page", Permission::ReadProducts)
        .takes(Parameter::query("sku", "Only the one with this SKU.", sku, json!("mug-1")))
        .takes(Parameter::choice(
            "sort",
            "In the order they were listed, or by SKU whatever the case; `-` turns it round.",
            SORTS,
        ))
        .paged()
        .fresh()
        .shows::<PageBody<ProductBody>>("Some of the products.", example)
}

pub(super) async fn browse(
    State(queries): State<Queries>,
    State(cursors): State<Cursors>,
    min_position: MinPosition,
    parameters: Parameters,
) -> Result<Json<PageBody<ProductBody>>, Problem> {
    let parameters = parameters.only(&["sku", "sort", "limit", "cursor"])?;
    let sku = parameters.one("sku", |sku| Sku::try_from(sku.to_owned()))?;
    let sort = match parameters.choice("sort", SORTS)? {
        Some("-listed") => Sort::ListedDescending,
        Some("sku") => Sort::Sku,
        Some("-sku") => Sort::SkuDescending,
        _ => Sort::Listed,
    };
    let mut page = Page::<After>::of(&parameters, &cursors)?;
    let queries = queries.fresh(&PRODUCTS, None, min_position).await?;
    let listing = Listing { sku_key: sku.map(|sku| sku.unique_form()), sort };
    let after = page.after.take();
    let found = projections::products::list(queries, &listing, after, page.limit).await?;
    let items = found.products.into_iter().map(ProductBody::from).collect();
    page.holds(items, found.next).map(Json)
}
