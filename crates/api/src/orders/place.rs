//! `POST /v1/orders`: place an order.

use application::CommandBus;
use application::ordering::PlaceOrder;
use axum::extract::State;
use domain::ids::OrderId;
use domain::ordering::{ORDER, RequestedLine, RequestedLines};
use schemars::JsonSchema;
use serde_json::json;

use crate::body::{Body, Fields, Shape};
use crate::layers::Key;
use crate::operation::Operation;
use crate::origin::CommandOrigin;
use crate::principal::Permission;
use crate::problem::{Code, Problem};
use crate::receipts::{self, Created};

/// What is asked for.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "PlaceOrder", deny_unknown_fields)]
pub(super) struct Request {
    lines: RequestedLines,
}

impl Shape for Request {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let lines = fields.objects::<RequestedLine, _>("lines");
        Some(Self { lines: lines? })
    }
}

impl Shape for RequestedLine {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let (product_id, quantity) = (fields.value("product_id"), fields.value("quantity"));
        Some(Self { product_id: product_id?, quantity: quantity? })
    }
}

pub(super) fn operation() -> Operation {
    let line = json!({"product_id": "01943c5e-7b1a-7cc0-9d3f-2f6f3f0e8a11", "quantity": 2});
    let created = json!({"id": "01943c5e-8f22-7d10-8a55-0c3b9d1e4f22"});
    Operation::command("placeOrder", "Place an order", Permission::PlaceOrders, Key::Required)
        .for_owners()
        .by_tenant()
        .with_body::<Request>(json!({"lines": [line]}))
        .creates::<receipts::Body<OrderId>>("It is placed, at the prices of this moment.", created)
        .refused_as(&[
            Code::UnknownProduct,
            Code::MixedCurrencies,
            Code::TotalTooLarge,
            Code::MessageTooLarge,
        ])
}

pub(super) async fn place(
    State(bus): State<CommandBus>,
    CommandOrigin(origin): CommandOrigin,
    Body(Request { lines }): Body<Request>,
) -> Result<Created<OrderId>, Problem> {
    let (id, receipt) = bus.place_order(&origin, PlaceOrder { lines }).await?;
    Ok(Created { collection: "/v1/orders".into(), category: ORDER, id, receipt })
}
