//! To whose password was changed.

use chrono::{DateTime, Utc};

use super::{ClientUrl, Letter, words};

/// Tells that the password was changed, so that its owner notices if that was somebody else.
#[must_use]
pub fn password_changed(client: &ClientUrl, at: DateTime<Utc>) -> Letter {
    let (service, at) = (client.name(), words::time(at));
    Letter::about(format!("Your password for {service} was changed"))
        .say(&format!("The password of your account at {service} was changed on {at}."))
        .say("If that was you, there is nothing to do.")
        .say("If it was not, choose a new password now: it ends every session.")
        .link("Ask for a new password", &client.page("forgot-password"))
        .end()
}
