//! To whom an account belongs with whose address somebody tried to register.

use super::{ClientUrl, Letter};

/// Tells that somebody tried to register with an address that has an account: the answer over HTTP
/// does not tell.
#[must_use]
pub fn repeated_registration(client: &ClientUrl) -> Letter {
    let service = client.name();
    Letter::about(format!("You already have an account at {service}"))
        .say(&format!(
            "Somebody, probably you, tried to register at {service} with this address. There is \
             an account with it already, and nothing has changed."
        ))
        .link("Sign in", &client.page("sign-in"))
        .say("If you have forgotten your password, you can ask for a new one there.")
        .say("If that was not you, you can ignore this mail.")
        .end()
}
