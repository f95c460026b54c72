//! `POST /v1/products`: list a product, with stock of it.

use application::CommandBus;
use application::catalog::ListProduct;
use axum::extract::State;
use domain::catalog::PRODUCT;
use domain::ids::ProductId;
use domain::values::{Money, ProductName, Sku, StockLevel};
use schemars::JsonSchema;
use serde_json::json;

use crate::body::{Body, Fields, Shape};
use crate::layers::Key;
use crate::operation::Operation;
use crate::origin::CommandOrigin;
use crate::principal::Permission;
use crate::problem::{Code, Problem};
use crate::receipts::{self, Created};

/// What is offered.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "ListProduct", deny_unknown_fields)]
pub(super) struct Request {
    /// Unique whatever the case.
    sku: Sku,
    name: ProductName,
    /// The price of one.
    price: Money,
    /// How many there are.
    stock: StockLevel,
}

impl Shape for Request {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (sku, name) = (fields.value("sku"), fields.value("name"));
        let (price, stock) = (fields.object("price"), fields.value("stock"));
        Some(Self { sku: sku?, name: name?, price: price?, stock: stock? })
    }
}

pub(super) fn operation() -> Operation {
    let example = json!({
        "sku": "Mug-1",
        "name": "Mug, blue",
        "price": {"amount": 1250, "currency": "EUR"},
        "stock": 12,
    });
    let created = json!({"id": "01943c5e-7b1a-7cc0-9d3f-2f6f3f0e8a11"});
    // A second one of the same SKU is refused anyway.
    let key = Key::Optional;
    Operation::command("listProduct", "Offer a new product", Permission::ManageProducts, key)
        .with_body::<Request>(example)
        .creates::<receipts::Body<ProductId>>("It is offered, with its stock.", created)
        .refused_as(&[Code::SkuTaken, Code::MessageTooLarge])
}

pub(super) async fn list(
    State(bus): State<CommandBus>,
    CommandOrigin(origin): CommandOrigin,
    Body(request): Body<Request>,
) -> Result<Created<ProductId>, Problem> {
    let Request { sku, name, price, stock } = request;
    let command = ListProduct { sku, name, price, stock };
    let (id, receipt) = bus.list_product(&origin, command).await?;
    Ok(Created { collection: "/v1/products".into(), category: PRODUCT, id, receipt })
}
