//! Opaque tokens: secrets that are given out once and known again by their digest.
//!
//! A token is a prefix that says what it is, so that people, logs and scanners of repositories know a
//! token that leaked, and 256 random bits in base64url: `anr_` and 43 characters. Only its SHA-256 is
//! kept, which covers the prefix: a token of one kind is never one of another.
//!
//! There is no check sum in it. It would tell tokens that were mistyped from those that are unknown
//! without a query, but tokens are not typed, whoever tries them can compute a check sum as well, and
//! the query is one look into an index. API keys have one, and say which key they are of, because
//! they lie about for longer: [`OpaqueToken::of_api_key`].

mod api_key;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::ports::{NoRandomness, Randomness};
use crate::secret_digest::secret_digest;

pub use api_key::API_KEY_PREFIX;

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Another access token of the same session.
    Refresh,
    /// Proving that an e-mail address is one's own.
    EmailVerification,
    /// A new password instead of one that was forgotten.
    PasswordReset,
}

impl TokenKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Refresh, Self::EmailVerification, Self::PasswordReset];

    /// What tokens of this kind begin with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Refresh => "anr_",
            Self::EmailVerification => "anv_",
            Self::PasswordReset => "anp_",
        }
    }
}

/// A new token, to be told once.
#[derive(Debug, Clone)]
pub struct OpaqueToken {
    text: SecretString,
    digest: TokenDigest,
}

impl OpaqueToken {
    /// A token that nobody has had before.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn new(kind: TokenKind, randomness: &dyn Randomness) -> Result<Self, NoRandomness> {
        let mut bytes = Zeroizing::new([0; 32]);
        randomness.fill(bytes.as_mut())?;
        // Large enough from the start: growing would leave characters behind.
        let mut text = Zeroizing::new(String::with_capacity(64));
        text.push_str(kind.prefix());
        URL_SAFE_NO_PAD.encode_string(*bytes, &mut text);
        let digest = TokenDigest::of_bytes(text.as_bytes());
        Ok(Self { text: text.as_str().into(), digest })
    }

    /// What its owner is told.
    #[must_use]
    pub const fn text(&self) -> &SecretString {
        &self.text
    }

    /// What is kept.
    #[must_use]
    pub const fn digest(&self) -> TokenDigest {
        self.digest
    }
}

secret_digest! {
    /// What is kept of a token.
    TokenDigest
}

impl TokenDigest {
    /// The digest of a token that somebody shows as one of `kind`; whether there is such a token is
    /// not known by that.
    ///
    /// # Errors
    /// No token of this kind looks like that.
    pub fn of(kind: TokenKind, text: &SecretString) -> Result<Self, NotAToken> {
        let text = text.expose_secret();
        let encoded = text.strip_prefix(kind.prefix()).ok_or(NotAToken { kind })?;
        // One text for one token: this decoder takes neither padding nor other bits at the end.
        let mut bytes = Zeroizing::new([0; 33]);
        match URL_SAFE_NO_PAD.decode_slice(encoded, bytes.as_mut()) {
            Ok(32) => Ok(Self::of_bytes(text.as_bytes())),
            Ok(_) | Err(_) => Err(NotAToken { kind }),
        }
    }
}

/// A text is no token of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAToken {
    kind: TokenKind,
}

impl fmt::Display for NotAToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a token of this kind begins with {} and 43 characters follow",
            self.kind.prefix()
        )
    }
}

impl std::error::Error for NotAToken {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ports::Counted;

    #[test]
    fn is_known_again_by_its_digest() {
        let randomness = Counted::default();
        for kind in TokenKind::ALL {
            let token = OpaqueToken::new(kind, &randomness).unwrap();
            let other = OpaqueToken::new(kind, &randomness).unwrap();
            assert_eq!(TokenDigest::of(kind, token.text()), Ok(token.digest()));
            assert_ne!(token.digest(), other.digest());
            assert_eq!(token.text().expose_secret().len(), 47);
        }
    }

    #[test]
    fn is_of_one_kind() {
        let token = OpaqueToken::new(TokenKind::Refresh, &Counted::default()).unwrap();
        let secret = token.text().expose_secret().strip_prefix("anr_").unwrap();
        for kind in TokenKind::ALL {
            let same = TokenDigest::of(kind, token.text());
            assert_eq!(same.is_ok(), kind == TokenKind::Refresh);
            let text = SecretString::from(format!("{}{secret}", kind.prefix()));
            let renamed = TokenDigest::of(kind, &text).unwrap();
            assert_eq!(renamed == token.digest(), kind == TokenKind::Refresh);
        }
    }

    #[test]
    fn shows_nothing() {
        let token = OpaqueToken::new(TokenKind::PasswordReset, &Counted::default()).unwrap();
        let shown = format!("{token:?}");
        assert!(shown.contains("TokenDigest(..)") && !shown.contains("anp_"), "{shown}");
    }

    #[test]
    fn the_digest_is_that_of_the_text() {
        // SHA-256 of the 47 characters, so that whoever imports digests makes the same.
        let text = SecretString::from(format!("anr_{}", "A".repeat(43)));
        let digest = TokenDigest::of(TokenKind::Refresh, &text).unwrap();
        let expected = "pmS7IrVsoTd-eLc4anIKidYIorijdldfeVBRDuPG2g4";
        assert_eq!(URL_SAFE_NO_PAD.encode(digest.as_bytes()), expected);
    }

    proptest! {
        #[test]
        fn nothing_else_is_a_token(text in "(anr_)?[A-Za-z0-9_=.-]{41,45}|\\PC{0,60}") {
            let canonical = text.strip_prefix("anr_").is_some_and(|encoded| {
                URL_SAFE_NO_PAD.decode(encoded).is_ok_and(|bytes| bytes.len() == 32)
            });
            let digest = TokenDigest::of(TokenKind::Refresh, &text.into());
            prop_assert_eq!(digest.is_ok(), canonical);
        }
    }
}
