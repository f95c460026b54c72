//! What people call things, and each other.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// No control characters, and at least one that is no white space.
///
/// Spelt out, because what `\s` means differs between dialects of regular expressions.
const PATTERN: &str = concat!(
    r"^[^\u0000-\u001f\u007f-\u009f]*",
    r"[^\u0000-\u0020\u007f-\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]",
    r"[^\u0000-\u001f\u007f-\u009f]*$",
);

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(extend("minLength" = 1, "maxLength" = 200, "pattern" = PATTERN))]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                let fits = (1..=200).contains(&text.chars().count());
                if fits && !text.trim().is_empty() && !text.chars().any(char::is_control) {
                    Ok(Self(text))
                } else {
                    Err(InvalidName)
                }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name! {
    /// A product's name: 1 to 200 characters, none of them a control character, not blank.
    ProductName
}
name! {
    /// A person's name: 1 to 200 characters, none of them a control character, not blank.
    PersonName
}
name! {
    /// An organization's name: 1 to 200 characters, none of them a control character, not blank.
    OrganizationName
}
name! {
    /// The name of an API key: 1 to 200 characters, none of them a control character, not blank.
    ApiKeyName
}

/// The text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a name has 1 to 200 characters, is not blank and holds no control characters")]
pub struct InvalidName;
