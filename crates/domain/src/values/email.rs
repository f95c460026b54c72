//! Addresses of electronic mail.

use std::fmt;

use email_address::{EmailAddress, Options};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is taken: no quoted local part, no address in brackets, no name in front.
const PLAIN: Options =
    Options { minimum_sub_domains: 2, allow_domain_literal: false, allow_display_text: false };

/// Longest address that a mail server must take (RFC 5321).
const MAX_BYTES: usize = 254;

/// An address of electronic mail, for example `ada@example.org`.
///
/// Kept as it was given, though two that differ only in case count as the same: hardly any server
/// tells them apart, and people do not. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(extend("format" = "email", "maxLength" = MAX_BYTES))]
pub struct Email(String);

impl Email {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(local, _)| local)
    }

    /// The form in which the same address is always the same text.
    #[must_use]
    pub fn unique_form(&self) -> String {
        self.0.to_lowercase()
    }
}

impl TryFrom<String> for Email {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        let is_plain = !text.contains('"') && text.len() <= MAX_BYTES;
        // Its checks do not reach into what the letters are.
        let is_shown = text.chars().all(|letter| !letter.is_control() && !letter.is_whitespace());
        match EmailAddress::parse_with_options(&text, PLAIN) {
            Ok(_) if is_plain && is_shown => Ok(Self(text)),
            Ok(_) | Err(_) => Err(InvalidEmail),
        }
    }
}

impl std::str::FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        Self::try_from(text.to_owned())
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(***)")
    }
}

/// The text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an address has the form name@example.org and at most {MAX_BYTES} bytes")]
pub struct InvalidEmail;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_an_address() {
        for taken in ["ada@example.org", "Ada.L+shop@mail.example.org", "björn@exämple.org"] {
            assert_eq!(Email::try_from(taken.to_owned()).unwrap().as_str(), taken);
        }
        let long = format!("{}@example.org", "a".repeat(65));
        for refused in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@localhost",
            "a b@example.org",
            &long,
            "Ada <ada@example.org>",
            "\"a\"@example.org",
            "ada@[127.0.0.1]",
            "ada@example.org\n",
            "ada@example..org",
            "ada@@example.org",
            "a\u{a0}b@example.org",
        ] {
            assert_eq!(Email::try_from(refused.to_owned()), Err(InvalidEmail), "{refused:?}");
        }
    }

    #[test]
    fn case_does_not_count() {
        let [one, other] = ["Ada@Example.org", "ada@example.ORG"]
            .map(|text| Email::try_from(text.to_owned()).unwrap().unique_form());
        assert_eq!(one, other);
        assert_eq!(format!("{:?}", Email("ada@example.org".to_owned())), "Email(***)");
    }
}
