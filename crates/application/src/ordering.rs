//! Commands on orders, as clients give them.

use domain::ids::OrderId;
use domain::ordering::{self, RequestedLines};
use eventstore::{Receipt, aggregate};
use serde::Serialize;

use crate::bus::{CommandBus, CommandError};
use crate::command::{Command, Origin, fingerprint};

/// Ask for products.
#[derive(Debug, Clone, Serialize)]
pub struct PlaceOrder {
    /// What is asked for.
    pub lines: RequestedLines,
}

impl CommandBus {
    /// Places an order at the prices of this moment.
    ///
    /// # Errors
    /// [`CommandError::Rejected`]: a product is not offered, currencies are mixed, or the total is
    /// too large. Else as [`CommandBus::execute`].
    pub async fn place_order(
        &self,
        origin: &Origin,
        request: PlaceOrder,
    ) -> Result<(OrderId, Receipt), CommandError> {
        let fingerprint = fingerprint("place-order", &request)?;
        let order_id = OrderId::new(self.ids.next());
        let place =
            ordering::PlaceOrder { order_id, lines: request.lines, placed_at: self.clock.now() };
        let command = Command {
            given: aggregate::Command {
                id: origin.command_id(self.ids.next()),
                fingerprint,
                metadata: origin.metadata(),
            },
            decisions: vec![Box::new(place)],
            expected: None,
        };
        let receipt = self.execute(&command).await?;
        let id = crate::command::written(&receipt, ordering::ORDER).map_or(order_id, OrderId::new);
        Ok((id, receipt))
    }
}
