//! The keys that wrap the keys of subjects.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;
use zeroize::{Zeroize as _, Zeroizing};

use super::cipher::{self, KeyBytes, SubjectKey, associated};
use super::{KeyringError, Subject};

/// The keys that wrap the keys of subjects: one is current and wraps, all unwrap.
///
/// Written `ID=BASE64`, several separated by commas, the current one first; an id has 1 to 64
/// letters, digits, `.`, `_` and `-`, a key 32 random bytes (`openssl rand -base64 32`).
///
/// ```
/// use eventstore::KeyEncryptionKeys;
///
/// let keys: KeyEncryptionKeys = "2027=B7sEQ7WfQ3Z3kH9v1cM2o2sS5y3uJt0b1h6m3mJd8Vg=,\
///                                2026=q2c3ptd0b6cJf5cX0m5vWb1x2n0H1o7o5wKQm4d3Z3A="
///     .parse()?;
/// assert_eq!(keys.current_id(), "2027");
/// assert_eq!(format!("{keys:?}"), r#"KeyEncryptionKeys { current: "2027", ids: ["2026", "2027"] }"#);
/// # Ok::<(), eventstore::personal::InvalidKeyEncryptionKeys>(())
/// ```
#[derive(Clone)]
pub struct KeyEncryptionKeys {
    current: String,
    keys: BTreeMap<String, KeyBytes>,
}

impl KeyEncryptionKeys {
    /// One key, which is current.
    ///
    /// # Errors
    /// The id cannot be one.
    pub fn new(id: impl Into<String>, key: [u8; 32]) -> Result<Self, InvalidKeyEncryptionKeys> {
        let current = checked(id.into())?;
        let keys = BTreeMap::from([(current.clone(), Zeroizing::new(key))]);
        Ok(Self { current, keys })
    }

    /// Adds a key that only unwraps.
    ///
    /// # Errors
    /// The id cannot be one, or is there already.
    pub fn and(
        mut self,
        id: impl Into<String>,
        key: [u8; 32],
    ) -> Result<Self, InvalidKeyEncryptionKeys> {
        let (id, key) = (checked(id.into())?, Zeroizing::new(key));
        if self.keys.contains_key(&id) {
            return Err(InvalidKeyEncryptionKeys::Repeated { id });
        }
        self.keys.insert(id, key);
        Ok(self)
    }

    /// A random key in the written form, for a place where none is given yet.
    ///
    /// # Errors
    /// The operating system gives no random bytes.
    pub fn generate(id: &str) -> Result<String, KeyringError> {
        Ok(format!("{id}={}", STANDARD.encode(cipher::new_key()?.as_ref())))
    }

    /// Which one wraps.
    #[must_use]
    pub fn current_id(&self) -> &str {
        &self.current
    }

    /// Whether there is a key `id`.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.keys.contains_key(id)
    }

    /// Wraps the key of `subject` by the current one.
    pub(super) fn wrap(
        &self,
        subject: &Subject,
        key: &SubjectKey,
    ) -> Result<Vec<u8>, KeyringError> {
        let associated = bound(subject, key.id, &self.current);
        cipher::seal(self.key(&self.current)?, &associated, key.bytes.as_ref())
    }

    /// The key of `subject` that `by` wrapped.
    pub(super) fn unwrap(
        &self,
        subject: &Subject,
        id: Uuid,
        by: &str,
        wrapped: Vec<u8>,
    ) -> Result<SubjectKey, KeyringError> {
        let plain = cipher::open(self.key(by)?, &bound(subject, id, by), wrapped);
        let mut bytes = Zeroizing::new([0; 32]);
        match plain {
            Some(plain) if plain.len() == bytes.len() => bytes.copy_from_slice(&plain),
            _ => {
                return Err(KeyringError::NotUnwrapped {
                    subject: subject.clone(),
                    id: by.to_owned(),
                });
            }
        }
        Ok(SubjectKey { id, bytes })
    }

    fn key(&self, id: &str) -> Result<&KeyBytes, KeyringError> {
        let missing = || KeyringError::MissingKeyEncryptionKey { id: id.to_owned() };
        self.keys.get(id).ok_or_else(missing)
    }
}

fn bound(subject: &Subject, id: Uuid, by: &str) -> Vec<u8> {
    let subject = subject.as_str().as_bytes();
    associated(&[b"annals subject key 1", subject, id.as_bytes(), by.as_bytes()])
}

fn checked(id: String) -> Result<String, InvalidKeyEncryptionKeys> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if (1..=64).contains(&id.len()) && id.chars().all(allowed) {
        Ok(id)
    } else {
        Err(InvalidKeyEncryptionKeys::Id)
    }
}

impl FromStr for KeyEncryptionKeys {
    type Err = InvalidKeyEncryptionKeys;

    fn from_str(text: &str) -> Result<Self, InvalidKeyEncryptionKeys> {
        let mut keys: Option<Self> = None;
        for part in text.split(',') {
            let (id, key) = part.trim().split_once('=').ok_or(InvalidKeyEncryptionKeys::Form)?;
            let mut bytes = STANDARD
                .decode(key)
                .map_err(|_| InvalidKeyEncryptionKeys::Key { id: id.into() })?;
            let key = <[u8; 32]>::try_from(bytes.as_slice());
            bytes.zeroize();
            let key = key.map_err(|_| InvalidKeyEncryptionKeys::Key { id: id.into() })?;
            keys = Some(match keys {
                None => Self::new(id, key)?,
                Some(keys) => keys.and(id, key)?,
            });
        }
        keys.ok_or(InvalidKeyEncryptionKeys::Form)
    }
}

impl fmt::Debug for KeyEncryptionKeys {
    /// Ids only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.keys.keys().collect();
        f.debug_struct("KeyEncryptionKeys")
            .field("current", &self.current)
            .field("ids", &ids)
            .finish()
    }
}

/// These are no key-encryption keys. No variant holds a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyEncryptionKeys {
    /// There is no `=`.
    #[error("key-encryption keys are written ID=BASE64, several separated by commas")]
    Form,
    /// What stands before the `=`.
    #[error("the id of a key-encryption key has 1 to 64 letters, digits, `.`, `_` and `-`")]
    Id,
    /// What stands behind the `=`.
    #[error("key-encryption key {id} is not 32 bytes in base64 (`openssl rand -base64 32`)")]
    Key {
        /// Of which id, as far as it is one.
        id: String,
    },
    /// Two keys cannot have one id.
    #[error("key-encryption key {id} is given twice")]
    Repeated {
        /// Which.
        id: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_current_and_others_unwrap() {
        let old = KeyEncryptionKeys::generate("old").unwrap();
        let both: KeyEncryptionKeys =
            format!("{}, {old}", KeyEncryptionKeys::generate("new").unwrap()).parse().unwrap();
        assert_eq!(both.current_id(), "new");
        let old: KeyEncryptionKeys = old.parse().unwrap();
        let subject = Subject::new("customer:1").unwrap();
        let key = SubjectKey { id: Uuid::from_u128(1), bytes: cipher::new_key().unwrap() };
        let wrapped = old.wrap(&subject, &key).unwrap();
        let unwrapped = both.unwrap(&subject, key.id, "old", wrapped.clone()).unwrap();
        assert_eq!(unwrapped.bytes, key.bytes);
        let other = Subject::new("customer:2").unwrap();
        assert!(matches!(
            both.unwrap(&other, key.id, "old", wrapped),
            Err(KeyringError::NotUnwrapped { .. })
        ));
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        for text in ["", "hunter2", "a=hunter2", "a b=hunter2", "a=", "=aHVudGVyMg=="] {
            let refused = text.parse::<KeyEncryptionKeys>().unwrap_err();
            assert!(!format!("{refused} {refused:?}").contains("hunter2"), "{refused}");
        }
        let key = KeyEncryptionKeys::generate("a").unwrap();
        let twice = format!("{key},{key}").parse::<KeyEncryptionKeys>().unwrap_err();
        assert_eq!(twice, InvalidKeyEncryptionKeys::Repeated { id: "a".into() });
    }
}
