//! To whoever signed in from where they never did.

use std::net::IpAddr;

use chrono::{DateTime, Utc};

use super::{ClientUrl, Letter, words};

/// What is known of a sign-in.
#[derive(Debug, Clone, Copy)]
pub struct SignIn<'a> {
    /// When.
    pub at: DateTime<Utc>,
    /// What the device says of itself, for example its `User-Agent`.
    pub device: Option<&'a str>,
    /// From which address.
    pub address: Option<IpAddr>,
}

/// Tells of a sign-in from a new device, so that the owner of the account notices if that was
/// somebody else.
#[must_use]
pub fn new_device(client: &ClientUrl, sign_in: SignIn<'_>) -> Letter {
    let (service, at) = (client.name(), words::time(sign_in.at));
    let unknown = || "unknown".to_owned();
    let device = sign_in.device.map(words::foreign).filter(|device| !device.is_empty());
    let device = device.unwrap_or_else(unknown);
    let address = sign_in.address.map_or_else(unknown, |address| address.to_string());
    Letter::about(format!("New sign-in to {service}"))
        .say(&format!("Somebody, probably you, signed in to your account at {service}."))
        .say(&format!("When: {at}"))
        .say(&format!("Device: {device}"))
        .say(&format!("Network address: {address}"))
        .say("If that was you, there is nothing to do.")
        .say("If it was not, choose a new password now: it ends every session.")
        .link("Ask for a new password", &client.page("forgot-password"))
        .end()
}
