//! Digests that cannot be guessed.
//!
//! A digest of an e-mail address hides nothing: whoever has the database tries addresses until one
//! fits. These are HMAC-SHA-256 under a key of the log, which is wrapped and rotated like those of
//! subjects and never changes, so the same text has the same digest for ever.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use super::cipher::associated;
use super::scope::{Known, Mode};
use super::{Keyring, KeyringError, Subject};
use crate::{Claim, Fingerprint, StreamId};

/// Makes digests without asking anybody: what [`Keyring::digests`] has asked for once. Clones share the
/// key.
#[derive(Clone)]
pub struct Digests(Arc<hmac::Key>);

impl fmt::Debug for Digests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digests(***)")
    }
}

impl Keyring {
    /// Makes digests under the key of this log.
    ///
    /// # Errors
    /// The first call asks the database for the key.
    pub async fn digests(&self) -> Result<Digests, KeyringError> {
        let shared = &self.shared;
        let key = shared.digests.get_or_try_init(|| async {
            let subject = Subject::of_digests();
            let known = shared.fetch(None, &BTreeSet::from([subject.clone()]), Mode::Seal).await?;
            match known.get(&subject) {
                Some(Known::Key(key)) => {
                    let key = hmac::Key::new(hmac::HMAC_SHA256, key.bytes.as_ref());
                    Ok(Digests(Arc::new(key)))
                }
                Some(Known::Erased) | None => Err(KeyringError::UnknownSubject { subject }),
            }
        });
        key.await.cloned()
    }
}

impl Digests {
    /// The fingerprint of a command whose `body` holds personal data, instead of
    /// [`Fingerprint::of`].
    #[must_use]
    pub fn fingerprint(&self, body: &[u8]) -> Fingerprint {
        Fingerprint::from_digest(self.digest(&[b"fingerprint", body]))
    }

    /// A claim of a personal `value`, which is not stored, only a digest of it; released when
    /// `subject` is erased.
    ///
    /// Give the value in the one form in which it is the same, for example in lower case.
    #[must_use]
    pub fn claim(
        &self,
        namespace: impl Into<String>,
        value: &str,
        stream: StreamId,
        subject: Subject,
    ) -> Claim {
        let namespace = namespace.into();
        let digest = self.digest(&[b"claim", namespace.as_bytes(), value.as_bytes()]);
        let value = URL_SAFE_NO_PAD.encode(digest);
        Claim { subject: Some(subject), ..Claim::new(namespace, value, stream) }
    }

    /// A digest of `parts` for `purpose`, which is no other's: whoever has the database cannot make it.
    #[must_use]
    pub fn of(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.digest(&[&[b"of", purpose.as_bytes()], parts].concat())
    }

    fn digest(&self, parts: &[&[u8]]) -> [u8; 32] {
        let tag = hmac::sign(&self.0, &associated(parts));
        let mut digest = [0; 32];
        digest.copy_from_slice(tag.as_ref());
        digest
    }
}
