//! To whoever is invited to an organization.

use super::{ClientUrl, Letter, Ticket, words};

/// Who invites to what.
#[derive(Debug, Clone, Copy)]
pub struct Invitation<'a> {
    /// The name of the organization.
    pub organization: &'a str,
    /// The name of who invites, if it may be told.
    pub invited_by: Option<&'a str>,
}

/// Invites to an organization.
#[must_use]
pub fn invitation(client: &ClientUrl, ticket: Ticket<'_>, to: Invitation<'_>) -> Letter {
    let (service, valid) = (client.name(), ticket.valid_for());
    let organization = words::foreign(to.organization);
    let by = to.invited_by.map_or_else(|| "Somebody".to_owned(), words::foreign);
    Letter::about(format!("You are invited to “{organization}” at {service}"))
        .say(&format!("{by} invites you to the organization “{organization}” at {service}."))
        .link("Look at the invitation", &client.page_with("invitation", ticket.token))
        .code(ticket.token)
        .say(&format!("Link and code are valid for {valid}."))
        .say(
            "If you do not know who that is, you can ignore this mail: you belong to no \
             organization unless you accept.",
        )
        .end()
}
