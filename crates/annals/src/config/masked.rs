//! Secrets as they may be shown.

use secrecy::{ExposeSecret, SecretString};
use serde::Serializer;
use url::Url;

/// Writes the URL, or each of several separated by commas, without its password and user; what
/// cannot be parsed is hidden whole.
#[expect(clippy::ref_option, reason = "serde gives the field as it is")]
pub(super) fn url<S: Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match secret {
        Some(secret) => {
            let addresses: Vec<_> = secret.expose_secret().split(',').map(mask).collect();
            serializer.serialize_some(&addresses.join(","))
        }
        None => serializer.serialize_none(),
    }
}

fn mask(text: &str) -> String {
    let Ok(mut url) = Url::parse(text.trim()) else { return "***".to_owned() };
    let hidden = if url.password().is_some() {
        url.set_password(Some("***"))
    } else if url.username().is_empty() {
        Ok(())
    } else {
        // A user without a password may be a token.
        url.set_username("***")
    };
    if url.query().is_some() {
        url.set_query(Some("***"));
    }
    hidden.map_or_else(|()| "***".to_owned(), |()| url.to_string())
}
