//! Secrets as they may be shown.

use secrecy::{ExposeSecret, SecretString};
use serde::{Serialize as _, Serializer};
use url::Url;

/// Writes the URL without its password and user; what cannot be parsed is hidden whole.
#[expect(clippy::ref_option, reason = "serde gives the field as it is")]
pub(super) fn url<S: Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let shown = secret.as_ref().map(|secret| mask(secret.expose_secret()));
    shown.serialize(serializer)
}

/// As [`url()`], of each of several, separated by commas. A list of which one cannot be parsed is
/// hidden whole: its comma may be part of a password.
#[expect(clippy::ref_option, reason = "serde gives the field as it is")]
pub(super) fn urls<S: Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let shown = secret.as_ref().map(|secret| {
        let urls: Vec<_> = secret.expose_secret().split(',').map(mask).collect();
        if urls.iter().any(|url| url == HIDDEN) { HIDDEN.to_owned() } else { urls.join(",") }
    });
    shown.serialize(serializer)
}

/// Writes the names of secrets without the secrets: `NAME=SECRET`, several separated by commas.
#[expect(clippy::ref_option, reason = "serde gives the field as it is")]
pub(super) fn named<S: Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let id = |key: &str| match key.trim().split_once('=') {
        Some((id, _)) => format!("{id}={HIDDEN}"),
        None => HIDDEN.to_owned(),
    };
    let shown = secret
        .as_ref()
        .map(|secret| secret.expose_secret().split(',').map(id).collect::<Vec<_>>().join(","));
    shown.serialize(serializer)
}

/// Writes only that there is one.
#[expect(clippy::ref_option, reason = "serde gives the field as it is")]
pub(super) fn whole<S: Serializer>(
    secret: &Option<SecretString>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    secret.as_ref().map(|_| HIDDEN).serialize(serializer)
}

const HIDDEN: &str = "***";

fn mask(text: &str) -> String {
    let Ok(mut url) = Url::parse(text.trim()) else { return HIDDEN.to_owned() };
    let hidden = if url.password().is_some() {
        url.set_password(Some(HIDDEN))
    } else if url.username().is_empty() {
        Ok(())
    } else {
        // A user without a password may be a token.
        url.set_username(HIDDEN)
    };
    if url.query().is_some() {
        url.set_query(Some(HIDDEN));
    }
    hidden.map_or_else(|()| HIDDEN.to_owned(), |()| url.to_string())
}
