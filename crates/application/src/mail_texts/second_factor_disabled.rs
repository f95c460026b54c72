//! To who has no second factor any more.

use chrono::{DateTime, Utc};
use domain::identity::DisabledBy;

use super::{ClientUrl, Letter, words};

/// Tells that the password alone lets in again, and who has made it so.
#[must_use]
pub fn second_factor_disabled(client: &ClientUrl, at: DateTime<Utc>, by: DisabledBy) -> Letter {
    let (service, at) = (client.name(), words::time(at));
    let what =
        format!("Since {at} your password alone is enough to sign in to your account at {service}");
    let (what, if_you) = match by {
        DisabledBy::User => (format!("{what}."), "If that was you, there is nothing to do."),
        DisabledBy::Operator => (
            format!("{what}: somebody who runs it has turned two-step sign-in off."),
            "If you have asked for that, turn it on again with your new device.",
        ),
    };
    Letter::about(format!("Two-step sign-in to {service} is off"))
        .say(&what)
        .say(if_you)
        .say("If not, choose a new password now: it ends every session.")
        .link("Ask for a new password", &client.page("forgot-password"))
        .end()
}
