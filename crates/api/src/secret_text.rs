//! Texts of requests that nobody may see.

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

/// A password or a token. `Debug` does not show it, and it is wiped when it is dropped.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", extend("minLength" = 1, "maxLength" = MOST_BYTES, "format" = "password"))]
pub(crate) struct SecretText(pub(crate) SecretString);

/// The most bytes of one.
const MOST_BYTES: usize = 4_096;

impl TryFrom<String> for SecretText {
    type Error = InvalidSecret;

    fn try_from(text: String) -> Result<Self, InvalidSecret> {
        let fits = (1..=MOST_BYTES).contains(&text.len());
        let secret = SecretString::from(text);
        if fits { Ok(Self(secret)) } else { Err(InvalidSecret) }
    }
}

/// The text is none.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("it has 1 to {MOST_BYTES} bytes")]
pub(crate) struct InvalidSecret;
