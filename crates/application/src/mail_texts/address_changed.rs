//! To the address that an account had.

use chrono::{DateTime, Utc};

use super::{ClientUrl, Letter, words};

/// Tells the old address that the account has another one, so that its owner notices if that was
/// somebody else. Which one is not told: whoever reads the old mailbox may be somebody else by now.
#[must_use]
pub fn address_changed(client: &ClientUrl, at: DateTime<Utc>) -> Letter {
    let (service, at) = (client.name(), words::time(at));
    Letter::about(format!("Your address at {service} was changed"))
        .say(&format!(
            "Your account at {service} has another address since {at}. Mail about it no longer \
             comes here."
        ))
        .say("If that was you, there is nothing to do.")
        .say(&format!(
            "If it was not, tell whoever runs {service} as soon as you can: somebody else may have \
             your password."
        ))
        .link("To the service", &client.page(""))
        .end()
}
