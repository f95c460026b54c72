//! Commands on the catalog, as clients give them.

use domain::ids::ProductId;
use domain::inventory::ReceiveStock;
use domain::values::{Money, ProductName, Sku, StockLevel};
use domain::{Decision, catalog};
use eventstore::{Receipt, StreamVersion, aggregate};
use serde::Serialize;

use crate::bus::{CommandBus, CommandError};
use crate::command::{Command, Origin, fingerprint};

/// Offer a new product, with stock of it.
#[derive(Debug, Clone, Serialize)]
pub struct ListProduct {
    /// Its SKU, unique among all products.
    pub sku: Sku,
    /// What people shall call it.
    pub name: ProductName,
    /// The price of one.
    pub price: Money,
    /// How many there are.
    pub stock: StockLevel,
}

/// Offer a product at another price.
#[derive(Debug, Clone, Serialize)]
pub struct RepriceProduct {
    /// The product.
    pub product_id: ProductId,
    /// The price of one.
    pub price: Money,
}

impl CommandBus {
    /// Lists a product and takes in its stock, as one.
    ///
    /// # Errors
    /// [`AppendError::ClaimTaken`](eventstore::AppendError::ClaimTaken): the SKU is in use.
    /// Else as [`CommandBus::execute`].
    pub async fn list_product(
        &self,
        origin: &Origin,
        request: ListProduct,
    ) -> Result<(ProductId, Receipt), CommandError> {
        let fingerprint = fingerprint("list-product", &request)?;
        let product_id = ProductId::new(self.ids.next());
        let ListProduct { sku, name, price, stock } = request;
        let list = catalog::ListProduct { product_id, sku, name, price };
        let mut decisions: Vec<Box<dyn Decision>> = vec![Box::new(list)];
        if let Some(quantity) = stock.quantity() {
            decisions.push(Box::new(ReceiveStock { product_id, quantity }));
        }
        let command = Command {
            given: aggregate::Command {
                id: origin.command_id(self.ids.next()),
                fingerprint,
                metadata: origin.metadata(),
            },
            decisions,
            expected: None,
        };
        let receipt = self.execute(&command).await?;
        let id =
            crate::command::written(&receipt, catalog::PRODUCT).map_or(product_id, ProductId::new);
        Ok((id, receipt))
    }

    /// Gives a product another price, if its stream is still at version `seen` where that matters. Nothing is written
    /// if it is the price already.
    ///
    /// # Errors
    /// [`CommandError::Rejected`]: nobody has listed it, or it has changed since it was at `seen`.
    /// Else as [`CommandBus::execute`].
    pub async fn reprice_product(
        &self,
        origin: &Origin,
        request: RepriceProduct,
        seen: Option<StreamVersion>,
    ) -> Result<Receipt, CommandError> {
        let fingerprint = fingerprint("reprice-product", &request)?;
        let RepriceProduct { product_id, price } = request;
        let command = Command {
            given: aggregate::Command {
                id: origin.command_id(self.ids.next()),
                fingerprint,
                metadata: origin.metadata(),
            },
            decisions: vec![Box::new(catalog::RepriceProduct { product_id, price })],
            expected: seen.map(|seen| (catalog::product(product_id), seen)),
        };
        self.execute(&command).await
    }
}
