//! To the address that is to become that of an account.

use super::{ClientUrl, Letter, Ticket};

/// Asks whoever owns the new address to confirm it.
#[must_use]
pub fn new_address(client: &ClientUrl, ticket: Ticket<'_>) -> Letter {
    let (service, valid) = (client.name(), ticket.valid_for());
    Letter::about(format!("Confirm your new address for {service}"))
        .say(&format!(
            "Somebody, probably you, wants this to be the address of an account at {service}."
        ))
        .link(
            "Confirm that the address is yours",
            &client.page_with("verify-address", ticket.token),
        )
        .code(ticket.token)
        .say(&format!(
            "Link and code are valid for {valid}. Until then the account keeps its old address."
        ))
        .say("If that was not you, you can ignore this mail: nothing changes.")
        .end()
}
