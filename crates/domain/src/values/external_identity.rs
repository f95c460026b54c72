//! Who somebody is elsewhere.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most bytes of what an issuer calls somebody (`OpenID` Connect Core, section 2).
const MAX_SUBJECT_BYTES: usize = 255;

/// The most bytes of the name of an issuer, which is an address.
const MAX_ISSUER_BYTES: usize = 500;

/// What this installation calls a provider of identities, for example `google`.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("minLength" = 1, "maxLength" = 32, "pattern" = "^[a-z][a-z0-9_-]*$"))]
pub struct ProviderName(String);

/// Whom an issuer knows somebody as: the two together name one person for ever.
///
/// `Debug` shows neither.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Kept", into = "Kept")]
pub struct ExternalIdentity {
    provider: ProviderName,
    issuer: String,
    subject: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    provider: ProviderName,
    issuer: String,
    subject: String,
}

impl ProviderName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ExternalIdentity {
    /// Who `issuer`, here called `provider`, calls `subject`.
    ///
    /// # Errors
    /// One of them is empty, too long or has characters that are not printed.
    pub fn new(
        provider: ProviderName,
        issuer: String,
        subject: String,
    ) -> Result<Self, InvalidExternalIdentity> {
        let fits = |text: &str, most: usize| {
            (1..=most).contains(&text.len()) && !text.chars().any(char::is_control)
        };
        if fits(&issuer, MAX_ISSUER_BYTES) && fits(&subject, MAX_SUBJECT_BYTES) {
            Ok(Self { provider, issuer, subject })
        } else {
            Err(InvalidExternalIdentity)
        }
    }

    /// What this installation called the provider when it was linked.
    #[must_use]
    pub const fn provider(&self) -> &ProviderName {
        &self.provider
    }

    /// The form in which the same identity is always the same text, whatever the provider is called.
    #[must_use]
    pub fn unique_form(&self) -> String {
        // Neither of them has a line break.
        format!("{}\n{}", self.issuer, self.subject)
    }

    /// How much memory it takes besides itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.provider.0.len() + self.issuer.len() + self.subject.len()
    }
}

impl TryFrom<String> for ProviderName {
    type Error = InvalidProviderName;

    fn try_from(text: String) -> Result<Self, InvalidProviderName> {
        let begins = text.starts_with(|first: char| first.is_ascii_lowercase());
        let is_plain = |letter: char| {
            letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter)
        };
        if begins && text.len() <= 32 && text.chars().all(is_plain) {
            Ok(Self(text))
        } else {
            Err(InvalidProviderName)
        }
    }
}

impl From<ProviderName> for String {
    fn from(name: ProviderName) -> Self {
        name.0
    }
}

impl fmt::Display for ProviderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<Kept> for ExternalIdentity {
    type Error = InvalidExternalIdentity;

    fn try_from(kept: Kept) -> Result<Self, InvalidExternalIdentity> {
        Self::new(kept.provider, kept.issuer, kept.subject)
    }
}

impl From<ExternalIdentity> for Kept {
    fn from(identity: ExternalIdentity) -> Self {
        let ExternalIdentity { provider, issuer, subject } = identity;
        Self { provider, issuer, subject }
    }
}

impl fmt::Debug for ExternalIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExternalIdentity").finish_non_exhaustive()
    }
}

/// The text is no name of a provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a provider has 1 to 32 lower-case letters, digits, `_` and `-`, and begins with a letter")]
pub struct InvalidProviderName;

/// The texts name nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an issuer or what it calls somebody is empty or too long")]
pub struct InvalidExternalIdentity;

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(provider: &str, issuer: &str, subject: &str) -> ExternalIdentity {
        let provider = provider.to_owned().try_into().unwrap();
        ExternalIdentity::new(provider, issuer.to_owned(), subject.to_owned()).unwrap()
    }

    #[test]
    fn what_counts_is_issuer_and_subject() {
        let one = identity("one", "https://id.example", "7");
        assert_eq!(one.unique_form(), identity("two", "https://id.example", "7").unique_form());
        assert_ne!(one.unique_form(), identity("one", "https://id.example", "8").unique_form());
        assert!(!format!("{one:?}").contains('7'));
        let provider: ProviderName = "one".to_owned().try_into().unwrap();
        for (issuer, subject) in [("", "7"), ("https://id.example", "a\nb")] {
            let refused = ExternalIdentity::new(provider.clone(), issuer.into(), subject.into());
            assert_eq!(refused, Err(InvalidExternalIdentity));
        }
    }

    #[test]
    fn what_is_a_name_of_a_provider() {
        for taken in ["google", "a", "id-2_b"] {
            assert_eq!(ProviderName::try_from(taken.to_owned()).unwrap().as_str(), taken);
        }
        for refused in ["", "Google", "2b", "a b", "é", &"a".repeat(33)] {
            assert!(ProviderName::try_from(refused.to_owned()).is_err(), "{refused:?}");
        }
    }
}
