//! To who has a second factor from now on.

use chrono::{DateTime, Utc};

use super::{ClientUrl, Letter, words};

/// Tells that it takes a code to log in, so that the owner of the account notices if somebody else has
/// locked it like that.
#[must_use]
pub fn second_factor_enabled(client: &ClientUrl, at: DateTime<Utc>) -> Letter {
    let (service, at) = (client.name(), words::time(at));
    Letter::about(format!("Two-step sign-in to {service} is on"))
        .say(&format!(
            "Since {at} it takes a code besides your password to sign in to your account at \
             {service}."
        ))
        .say("If that was you, keep your recovery codes where you find them without your device.")
        .say(&format!(
            "If it was not, somebody else knows your password: choose a new one now, and tell \
             whoever runs {service}, who can turn two-step sign-in off."
        ))
        .link("Ask for a new password", &client.page("forgot-password"))
        .end()
}
