//! People who come in from elsewhere: through the pages of the real oidc-provider, and from an issuer
//! of these tests where tokens are to be forged.

mod at_once;
mod forged;
mod journey;
mod links;
mod refusals;
mod secrets;

use testkit::OidcAccount;

/// Who has this address, and has proved it there.
fn proved(email: &str) -> OidcAccount {
    OidcAccount {
        email: Some(email.to_owned()),
        email_verified: Some(true),
        name: Some("Ada of Elsewhere".to_owned()),
    }
}
