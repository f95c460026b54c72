//! Codes for when the device is lost: ten, each good for once.
//!
//! A code is 80 random bits in Crockford's base32, which knows `o` as `0` and `l` as `1`, in four groups.
//! Only digests are kept; 80 bits cannot be tried, so these need no salt and no slow hash.

use base32::Alphabet;
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use crate::ports::{NoRandomness, Randomness};
use crate::secret_digest::secret_digest;

/// How many codes there are at first.
pub const CODES: usize = 10;

const BYTES: usize = 10;
const GROUP: usize = 4;

/// A new code, to be told once.
#[derive(Debug, Clone)]
pub struct RecoveryCode {
    text: SecretString,
    digest: RecoveryDigest,
}

impl RecoveryCode {
    /// [`CODES`] new ones.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn set(randomness: &dyn Randomness) -> Result<Vec<Self>, NoRandomness> {
        (0..CODES).map(|_| Self::new(randomness)).collect()
    }

    fn new(randomness: &dyn Randomness) -> Result<Self, NoRandomness> {
        let mut bytes = Zeroizing::new([0; BYTES]);
        randomness.fill(bytes.as_mut())?;
        let letters = Zeroizing::new(base32::encode(Alphabet::Crockford, bytes.as_ref()));
        let mut text = Zeroizing::new(String::with_capacity(2 * letters.len()));
        for (index, letter) in letters.chars().enumerate() {
            if index > 0 && index % GROUP == 0 {
                text.push('-');
            }
            text.push(letter);
        }
        let digest = RecoveryDigest::of_bytes(bytes.as_ref());
        Ok(Self { text: text.as_str().into(), digest })
    }

    /// What its owner is told, for example `7KQ2-M0XW-9ZTB-4HJE`.
    #[must_use]
    pub const fn text(&self) -> &SecretString {
        &self.text
    }

    /// What is kept.
    #[must_use]
    pub const fn digest(&self) -> RecoveryDigest {
        self.digest
    }
}

secret_digest! {
    /// What is kept of a code.
    RecoveryDigest
}

impl RecoveryDigest {
    /// The digest of a code as somebody typed it: in either case, with whatever between the groups;
    /// nothing if it is none.
    #[must_use]
    pub fn of(text: &SecretString) -> Option<Self> {
        let separates = |character: char| character == '-' || character.is_whitespace();
        let mut letters = Zeroizing::new(String::with_capacity(text.expose_secret().len()));
        letters.extend(text.expose_secret().chars().filter(|character| !separates(*character)));
        // The decoder would ignore padding, which is none of the letters.
        if letters.len() != BYTES * 8 / 5 || letters.contains('=') {
            return None;
        }
        let bytes = Zeroizing::new(base32::decode(Alphabet::Crockford, &letters)?);
        (bytes.len() == BYTES).then(|| Self::of_bytes(&bytes))
    }

    /// Which of `unused` this is, so that it can be taken from them. Each is compared, so that it does
    /// not tell by time which it was.
    #[must_use]
    pub fn find(&self, unused: &[Self]) -> Option<usize> {
        let found = |found, (index, digest): (usize, &Self)| {
            if digest == self { Some(index) } else { found }
        };
        unused.iter().enumerate().fold(None, found)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::ports::Counted;

    #[test]
    fn each_is_good_for_once() {
        let codes = RecoveryCode::set(&Counted::default()).unwrap();
        assert_eq!(codes.len(), 10);
        let mut unused: Vec<_> = codes.iter().map(RecoveryCode::digest).collect();
        let shown: BTreeSet<_> = codes.iter().map(|code| code.text().expose_secret()).collect();
        assert_eq!(shown.len(), 10);
        for code in &codes {
            let digest = RecoveryDigest::of(code.text()).unwrap();
            let index = digest.find(&unused).unwrap();
            unused.remove(index);
            assert_eq!(digest.find(&unused), None);
        }
        assert!(unused.is_empty());
    }

    #[test]
    fn is_read_as_people_write_it() {
        let same = "70IL-0123-ABCD-WXYZ";
        let digest = RecoveryDigest::of(&same.into());
        assert!(digest.is_some());
        for text in ["7o1l0123abcdwxyz", "7OiI 0123 abcd wxyz", " 70il-0l23-ABcd--wxyz\n"] {
            assert_eq!(RecoveryDigest::of(&text.into()), digest, "{text}");
        }
        for text in [
            "",
            "70IL-0123-ABCD-WXY",
            "70IL-0123-ABCD-WXYZ0",
            "70IL-0123-ABCD-WXYU",
            "7=======7=======",
        ] {
            assert_eq!(RecoveryDigest::of(&text.into()), None, "{text}");
        }
    }

    #[test]
    fn shows_nothing() {
        let codes = RecoveryCode::set(&Counted::default()).unwrap();
        let shown = format!("{:?}", codes[0]);
        assert!(!shown.contains(codes[0].text().expose_secret()) && shown.contains("(..)"));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "\\PC{0,24}") {
            let unused: Vec<_> = RecoveryCode::set(&Counted::default())
                .unwrap()
                .iter()
                .map(RecoveryCode::digest)
                .collect();
            let found = RecoveryDigest::of(&text.into()).and_then(|digest| digest.find(&unused));
            prop_assert_eq!(found, None);
        }
    }
}
