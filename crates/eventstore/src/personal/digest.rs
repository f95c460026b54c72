//! Digests that cannot be guessed.
//!
//! A digest of an e-mail address hides nothing: whoever has the database tries addresses until one
//! fits. These are HMAC-SHA-256 under a key of the log, which is wrapped and rotated like those of
//! subjects and never changes, so the same text has the same digest for ever.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

use super::cipher::associated;
use super::scope::{Known, Mode};
use super::{Keyring, KeyringError, Subject};
use crate::{Claim, Fingerprint, StreamId};

impl Keyring {
    /// The fingerprint of a command whose `body` holds personal data, instead of
    /// [`Fingerprint::of`].
    ///
    /// # Errors
    /// The first call asks the database for the key of digests.
    pub async fn fingerprint(&self, body: &[u8]) -> Result<Fingerprint, KeyringError> {
        Ok(Fingerprint::from_digest(self.digest(&[b"fingerprint", body]).await?))
    }

    /// A claim of a personal `value`, which is not stored, only a digest of it; released when
    /// `subject` is erased.
    ///
    /// Give the value in the one form in which it is the same, for example in lower case.
    ///
    /// # Errors
    /// The first call asks the database for the key of digests.
    pub async fn claim(
        &self,
        namespace: impl Into<String>,
        value: &str,
        stream: StreamId,
        subject: Subject,
    ) -> Result<Claim, KeyringError> {
        let namespace = namespace.into();
        let digest = self.digest(&[b"claim", namespace.as_bytes(), value.as_bytes()]).await?;
        let value = URL_SAFE_NO_PAD.encode(digest);
        Ok(Claim { subject: Some(subject), ..Claim::new(namespace, value, stream) })
    }

    async fn digest(&self, parts: &[&[u8]]) -> Result<[u8; 32], KeyringError> {
        let shared = &self.shared;
        let key = shared.digests.get_or_try_init(|| async {
            let subject = Subject::of_digests();
            let known = shared.fetch(None, &BTreeSet::from([subject.clone()]), Mode::Seal).await?;
            match known.get(&subject) {
                Some(Known::Key(key)) => Ok(key.bytes.clone()),
                Some(Known::Erased) | None => Err(KeyringError::UnknownSubject { subject }),
            }
        });
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.await?.as_ref());
        let tag = hmac::sign(&key, &associated(parts));
        let mut digest = [0; 32];
        digest.copy_from_slice(tag.as_ref());
        Ok(digest)
    }
}
