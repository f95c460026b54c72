//! To whoever has forgotten the password.

use super::{ClientUrl, Letter, Ticket};

/// Lets whoever owns the address choose a new password.
#[must_use]
pub fn password_reset(client: &ClientUrl, ticket: Ticket<'_>) -> Letter {
    let (service, valid) = (client.name(), ticket.valid_for());
    Letter::about(format!("Choose a new password for {service}"))
        .say(&format!(
            "Somebody, probably you, asked for a new password for your account at {service}."
        ))
        .link("Choose a new password", &client.page_with("reset-password", ticket.token))
        .code(ticket.token)
        .say(&format!("Link and code are valid for {valid}, and once."))
        .say(
            "If that was not you, you can ignore this mail: your password stays as it is. Give \
             the code to nobody, whoever asks for it.",
        )
        .end()
}
