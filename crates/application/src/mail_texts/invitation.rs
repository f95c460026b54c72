//! To whoever is invited to an organization.

use std::time::Duration;

use super::ticket::valid_for;
use super::{ClientUrl, Letter, words};

/// Who invites to what.
#[derive(Debug, Clone, Copy)]
pub struct Invitation<'a> {
    /// The name of the organization.
    pub organization: &'a str,
    /// The name of who invites, if it may be told.
    pub invited_by: Option<&'a str>,
    /// For how long, from when it is mailed.
    pub valid: Duration,
}

/// Invites to an organization. It holds no secret: whoever has proved the address may accept.
#[must_use]
pub fn invitation(client: &ClientUrl, to: Invitation<'_>) -> Letter {
    let (service, valid) = (client.name(), valid_for(to.valid));
    let organization = words::foreign(to.organization);
    let by = to.invited_by.map_or_else(|| "Somebody".to_owned(), words::foreign);
    Letter::about(format!("You are invited to “{organization}” at {service}"))
        .say(&format!("{by} invites you to the organization “{organization}” at {service}."))
        .link("Look at the invitation", &client.page("invitations"))
        .say(&format!(
            "Sign in with this address, or register with it, and accept. The invitation is valid for \
             {valid}.",
        ))
        .say(
            "If you do not know who that is, you can ignore this mail: you belong to no \
             organization unless you accept.",
        )
        .end()
}
