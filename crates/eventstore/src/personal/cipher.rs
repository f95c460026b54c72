//! AES-256-GCM, by ring: the crypto provider that TLS uses here already.
//!
//! Sealed bytes are nonce (12), ciphertext, tag (16). Nonces are random, which is safe for 2^32
//! values under one key (NIST SP 800-38D, 8.3); a subject has far fewer. ring's expanded keys do
//! not wipe themselves, so they live on the stack for one call; what is kept is 32 bytes that do.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::KeyringError;

/// 32 bytes that are wiped when dropped.
pub(super) type KeyBytes = Zeroizing<[u8; 32]>;

const TAG_LEN: usize = 16;

/// The key of a subject.
pub(super) struct SubjectKey {
    pub(super) id: Uuid,
    pub(super) bytes: KeyBytes,
}

/// What is authenticated but not hidden: each part after its length, so that no two lists of parts
/// have the same bytes.
pub(super) fn associated(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Encrypts `plain` and binds `associated` to it.
pub(super) fn seal(
    key: &KeyBytes,
    associated: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, KeyringError> {
    let mut nonce = [0; NONCE_LEN];
    fill(&mut nonce)?;
    // Large enough from the start: growing would leave plaintext behind.
    let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + TAG_LEN);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let nonce = Nonce::assume_unique_for_key(nonce);
    let tag = expanded(key)
        .seal_in_place_separate_tag(nonce, Aad::from(associated), &mut sealed[NONCE_LEN..])
        // Only more than 64 GiB are too long.
        .map_err(|_| KeyringError::NoRandomness)?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// What [`seal`] encrypted, if neither it nor `associated` was changed and the key is the same.
pub(super) fn open(
    key: &KeyBytes,
    associated: &[u8],
    mut sealed: Vec<u8>,
) -> Option<Zeroizing<Vec<u8>>> {
    let nonce = Nonce::try_assume_unique_for_key(sealed.get(..NONCE_LEN)?).ok()?;
    let rest = &mut sealed[NONCE_LEN..];
    let length = expanded(key).open_in_place(nonce, Aad::from(associated), rest).ok()?.len();
    let mut plain = Zeroizing::new(sealed);
    plain.copy_within(NONCE_LEN..NONCE_LEN + length, 0);
    plain.truncate(length);
    Some(plain)
}

/// A key that nobody has had before.
pub(super) fn new_key() -> Result<KeyBytes, KeyringError> {
    let mut bytes = Zeroizing::new([0; 32]);
    fill(bytes.as_mut())?;
    Ok(bytes)
}

/// Bytes of the operating system that nobody can guess.
pub(super) fn fill(bytes: &mut [u8]) -> Result<(), KeyringError> {
    SystemRandom::new().fill(bytes).map_err(|_| KeyringError::NoRandomness)
}

#[expect(clippy::expect_used, reason = "32 bytes are the length of such a key")]
fn expanded(key: &KeyBytes) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_ref()).expect("a key of 32 bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_what_was_not_touched() {
        let (key, other) = (new_key().unwrap(), new_key().unwrap());
        let sealed = seal(&key, b"place", b"plain").unwrap();
        assert_eq!(open(&key, b"place", sealed.clone()).unwrap().as_slice(), b"plain");
        assert!(open(&other, b"place", sealed.clone()).is_none());
        assert!(open(&key, b"elsewhere", sealed.clone()).is_none());
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(open(&key, b"place", changed).is_none(), "byte {index}");
        }
        for length in 0..sealed.len() {
            assert!(open(&key, b"place", sealed[..length].to_vec()).is_none(), "{length} bytes");
        }
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(associated(&[b"ab", b"c"]), associated(&[b"a", b"bc"]));
    }
}
