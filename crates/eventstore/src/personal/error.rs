//! Why personal data was not sealed or not opened.

use super::Subject;

/// Why the keyring did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeyringError {
    /// The subject is erased: no personal data of it is written any more.
    #[error("the personal data of {subject} is erased, nothing new is written of it")]
    Erased {
        /// The subject.
        subject: Subject,
    },
    /// The database holds no key and no erasure of the subject: it is another database, or was
    /// restored without this table.
    #[error("there is no key of {subject}, although something was sealed by it")]
    UnknownSubject {
        /// The subject.
        subject: Subject,
    },
    /// What was sealed names another key than the subject has.
    #[error("something of {subject} was sealed by another key than the one there is")]
    OtherKey {
        /// The subject.
        subject: Subject,
    },
    /// What was sealed was changed, or moved to another place or subject.
    #[error("sealed data of {subject} was changed or belongs elsewhere")]
    Altered {
        /// The subject.
        subject: Subject,
    },
    /// What was sealed is no value of the type it is read as. What it is, is not shown.
    #[error("the personal data of {subject} has another shape than expected")]
    Shape {
        /// The subject.
        subject: Subject,
    },
    /// A key of a subject is wrapped by a key that was not given.
    #[error("the key-encryption key {id} is needed and was not given")]
    MissingKeyEncryptionKey {
        /// Which.
        id: String,
    },
    /// A key of a subject does not unwrap: the key-encryption key has other bytes than the one of
    /// this id that wrapped it, or the row was changed.
    #[error(
        "the key of {subject} cannot be unwrapped by the key-encryption key {id} that was given"
    )]
    NotUnwrapped {
        /// The subject.
        subject: Subject,
        /// The key-encryption key.
        id: String,
    },
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
    /// The database could not be asked, and without it nothing is known for sure.
    #[error("the database cannot be asked for keys")]
    Database {
        /// Why not.
        #[source]
        source: std::sync::Arc<sqlx::Error>,
    },
}

impl From<sqlx::Error> for KeyringError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database { source: std::sync::Arc::new(error) }
    }
}

/// Why nothing was sealed or opened: the keyring, or what was to be done with the keys.
#[derive(Debug, Clone, thiserror::Error)]
pub enum PersonalError<E> {
    /// The keyring.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The caller's own encoding or decoding.
    #[error(transparent)]
    Codec(E),
}
