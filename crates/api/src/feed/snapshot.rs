//! The document that a connection begins with.

use std::str::FromStr;

use domain::ids::{OrderId, ProductId};
use eventstore::{Moment, Position, StreamId};
use projections::Document as _;
use projections::orders::{ORDERS, Order};
use projections::products::{PRODUCTS, Product};
use serde::Serialize;
use uuid::Uuid;

use crate::orders::OrderBody;
use crate::principal::Permission;
use crate::problem::{Code, Problem};
use crate::products::ProductBody;
use crate::queries::Queries;

/// A document, named like its address under `/v1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Snapshot {
    Order(OrderId),
    Product(ProductId),
}

impl FromStr for Snapshot {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named =
            text.split_once('/').and_then(|(list, id)| Some((list, Uuid::try_parse(id).ok()?)));
        match named {
            Some(("orders", id)) => Ok(Self::Order(OrderId::new(id))),
            Some(("products", id)) => Ok(Self::Product(ProductId::new(id))),
            _ => Err("must be `orders/` or `products/` and a UUID"),
        }
    }
}

impl Snapshot {
    /// What it takes to see it.
    pub(super) const fn permission(self) -> Permission {
        match self {
            Self::Order(_) => Permission::ReadOrders,
            Self::Product(_) => Permission::ReadProducts,
        }
    }

    /// The streams that the document is made of.
    pub(super) fn subjects(self) -> Vec<StreamId> {
        match self {
            Self::Order(id) => Order::streams(id),
            Self::Product(id) => Product::streams(id),
        }
    }

    /// The document as it was at `position`, as one line of JSON.
    pub(super) async fn read(
        self,
        queries: &Queries,
        position: Position,
    ) -> Result<String, Problem> {
        let moment = Moment::Position(position);
        match self {
            Self::Order(id) => {
                let order = queries.document::<Order>(&ORDERS, id, moment).await?;
                written(order.map(OrderBody::from), "No order has this id.")
            }
            Self::Product(id) => {
                let product = queries.document::<Product>(&PRODUCTS, id, moment).await?;
                written(product.map(ProductBody::from), "No product has this id.")
            }
        }
    }
}

fn written(document: Option<impl Serialize>, absent: &'static str) -> Result<String, Problem> {
    let document = document.ok_or_else(|| Problem::new(Code::NotFound, absent))?;
    Ok(serde_json::to_string(&document)?)
}
