//! Demo data, through the command bus like everybody else's.

use anyhow::Context as _;
use application::catalog::ListProduct;
use application::identity::{Identity, IdentityError, NewAccount};
use application::ordering::PlaceOrder;
use application::ports::IdSource as _;
use application::{CommandBus, Origin};
use domain::ids::ProductId;
use domain::ordering::{RequestedLine, RequestedLines};
use domain::values::{Money, PersonName, ProductName, Quantity, Sku, StockLevel};

use crate::commands::users;

const PRODUCTS: [(&str, &str, i64, i64); 5] = [
    ("TEA-GREEN", "Green tea, 100 g", 690, 120),
    ("TEA-BLACK", "Black tea, 100 g", 590, 80),
    ("POT-CAST", "Cast-iron teapot", 4900, 12),
    ("CUP-CLAY", "Clay cup", 1450, 60),
    ("TRAY-OAK", "Oak tray", 3200, 1),
];

/// Lists the products and places a few orders. Every command has a name of its own, so that
/// starting again changes nothing.
pub(super) async fn load(bus: &CommandBus) -> anyhow::Result<()> {
    let mut products = Vec::new();
    for (sku, name, amount, stock) in PRODUCTS {
        let request = ListProduct {
            sku: Sku::try_from(sku.to_owned())?,
            name: ProductName::try_from(name.to_owned())?,
            price: Money::new(amount, "EUR".parse()?)?,
            stock: StockLevel::try_from(stock)?,
        };
        let listed = bus.list_product(&origin(&format!("list {sku}")), request).await;
        products.push(listed.with_context(|| format!("list demo product {sku}"))?.0);
    }
    let orders: [&[(usize, i64)]; 3] = [&[(0, 2), (3, 4)], &[(2, 1)], &[(4, 3)]];
    for (number, lines) in orders.iter().enumerate() {
        let lines = lines.iter().map(|(product, quantity)| line(products[*product], *quantity));
        let lines = lines.collect::<anyhow::Result<Vec<_>>>()?;
        let request = PlaceOrder { lines: RequestedLines::try_from(lines)? };
        let placed = bus.place_order(&origin(&format!("place {number}")), request).await;
        placed.with_context(|| format!("place demo order {number}"))?;
    }
    Ok(())
}

/// Who can log in: an operator, and somebody who may do what everybody may.
pub(super) const USERS: [(&str, &str, &str); 2] = [
    ("operator@example.org", "Demo operator", "every teapot needs a lid"),
    ("ada@example.org", "Demo customer", "two cups of green tea"),
];

/// Opens the demo accounts.
pub(super) async fn users(identity: &Identity) -> anyhow::Result<()> {
    for (number, (email, name, password)) in USERS.into_iter().enumerate() {
        let mut roles = vec![users::member()?];
        if number == 0 {
            roles.push(users::operator()?);
        }
        let account = NewAccount {
            email: email.parse()?,
            name: PersonName::try_from(name.to_owned())?,
            password: password.into(),
            roles,
        };
        match identity.create_account(&users::origin(None), account).await {
            Ok(_) | Err(IdentityError::AddressTaken) => {}
            Err(error) => return Err(error).context("open the demo accounts"),
        }
    }
    Ok(())
}

fn line(product_id: ProductId, quantity: i64) -> anyhow::Result<RequestedLine> {
    Ok(RequestedLine { product_id, quantity: Quantity::try_from(quantity)? })
}

fn origin(key: &str) -> Origin {
    Origin {
        actor: "demo".to_owned(),
        tenant: None,
        correlation_id: adapters::TimeOrderedIds.next(),
        trace: None,
        idempotency_key: Some(key.to_owned()),
    }
}
