//! To whoever registered: is the address theirs?

use super::{ClientUrl, Letter, Ticket};

/// Asks whoever registered to confirm that the address is theirs.
#[must_use]
pub fn address_verification(client: &ClientUrl, ticket: Ticket<'_>) -> Letter {
    let (service, valid) = (client.name(), ticket.valid_for());
    Letter::about(format!("Confirm your address for {service}"))
        .say(&format!("Somebody, probably you, has registered at {service} with this address."))
        .link("Confirm that the address is yours", &client.page_with("verify", ticket.token))
        .code(ticket.token)
        .say(&format!("Link and code are valid for {valid}."))
        .say(
            "If that was not you, you can ignore this mail: without the confirmation the account \
             cannot be used.",
        )
        .end()
}
