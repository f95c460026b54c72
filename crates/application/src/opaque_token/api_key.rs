//! API keys: opaque tokens that say which one they are.
//!
//! `annals_`, the id of the key in 32 hexadecimal digits, `_`, and 48 characters of base64url: 256
//! random bits and a check sum, the first 32 bits of the SHA-256 of everything before it, the random
//! bits as bytes. These are found where they do not belong: in repositories, logs and tickets, by
//! programs that look for them, and by the check sum such a program knows one from what only looks
//! like one, as does who is shown one, without a query. By the id its owner knows which one to end.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{OpaqueToken, TokenDigest};
use crate::ports::{NoRandomness, Randomness};

/// What API keys begin with.
pub const API_KEY_PREFIX: &str = "annals_";

/// How many bytes are random.
const SECRET: usize = 32;

/// How many bytes there are with the check sum: a multiple of 3, so that no bits are left over.
const BYTES: usize = SECRET + 4;

/// How many characters of base64 that is.
const ENCODED: usize = BYTES / 3 * 4;

impl OpaqueToken {
    /// A secret of the API key `id` that nobody has had before.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn of_api_key(id: Uuid, randomness: &dyn Randomness) -> Result<Self, NoRandomness> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        randomness.fill(&mut bytes[..SECRET])?;
        let sum = check_sum(id, &bytes[..SECRET]);
        bytes[SECRET..].copy_from_slice(&sum);
        let mut text = Zeroizing::new(String::with_capacity(128));
        text.push_str(&label(id));
        URL_SAFE_NO_PAD.encode_string(*bytes, &mut text);
        let digest = TokenDigest::of_bytes(text.as_bytes());
        Ok(Self { text: text.as_str().into(), digest })
    }
}

impl TokenDigest {
    /// Which API key `text` says that it is of, and its digest; nothing if it is of none that was
    /// ever given out.
    #[must_use]
    pub fn of_api_key(text: &str) -> Option<(Uuid, Self)> {
        let (id, encoded) = text.strip_prefix(API_KEY_PREFIX)?.split_once('_')?;
        let id = Uuid::try_parse(id).ok()?;
        let mut bytes = Zeroizing::new([0; BYTES]);
        if encoded.len() != ENCODED
            || URL_SAFE_NO_PAD.decode_slice(encoded, bytes.as_mut()) != Ok(BYTES)
        {
            return None;
        }
        let (secret, sum) = bytes.split_at(SECRET);
        // One text for one key: an id may be written in other ways.
        let is_ours = text.starts_with(&label(id)) && bool::from(check_sum(id, secret).ct_eq(sum));
        is_ours.then(|| (id, Self::of_bytes(text.as_bytes())))
    }
}

fn label(id: Uuid) -> String {
    format!("{API_KEY_PREFIX}{}_", id.simple())
}

fn check_sum(id: Uuid, secret: &[u8]) -> [u8; 4] {
    let digest = Sha256::new().chain_update(label(id)).chain_update(secret).finalize();
    let mut sum = [0; 4];
    sum.copy_from_slice(&digest[..4]);
    sum
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::ports::Counted;

    #[test]
    fn is_known_again_by_its_id_and_its_digest() {
        let (randomness, id) = (Counted::default(), Uuid::from_u128(7));
        let [token, other] = [(); 2].map(|()| OpaqueToken::of_api_key(id, &randomness).unwrap());
        let text = token.text().expose_secret();
        assert_eq!(TokenDigest::of_api_key(text), Some((id, token.digest())));
        assert_ne!(token.digest(), other.digest());
        assert_eq!(text.len(), 88);
        assert!(text.starts_with("annals_00000000000000000000000000000007_"), "{text}");
        assert!(!format!("{token:?}").contains("annals_"));
    }

    /// What scanners look for is what docs/http.md says.
    #[test]
    fn the_check_sum_is_that_of_the_description() {
        let id = Uuid::from_u128(1);
        let mut bytes = vec![0xab; SECRET];
        let sum = Sha256::digest(
            [b"annals_00000000000000000000000000000001_".as_slice(), &bytes].concat(),
        );
        bytes.extend(&sum[..4]);
        let text = format!("{}{}", label(id), URL_SAFE_NO_PAD.encode(&bytes));
        assert!(TokenDigest::of_api_key(&text).is_some());
    }

    proptest! {
        #[test]
        fn no_other_text_is_the_same_key(at: prop::sample::Index, other in "[0-9A-Za-z_=+/. -]") {
            let token = OpaqueToken::of_api_key(Uuid::from_u128(7), &Counted::default()).unwrap();
            let text = token.text().expose_secret();
            let at = at.index(text.len());
            let touched = format!("{}{other}{}", &text[..at], &text[at + 1..]);
            let known = TokenDigest::of_api_key(&touched);
            prop_assert_eq!(known.is_some(), touched == text, "{} is let in", touched);
        }

        #[test]
        fn what_nobody_gave_out_is_none(text in "(annals_)?[0-9a-f]{0,33}_?[A-Za-z0-9_-]{46,50}|\\PC{0,90}") {
            // One in four thousand million is.
            prop_assert_eq!(TokenDigest::of_api_key(&text), None);
        }
    }
}
