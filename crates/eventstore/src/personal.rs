//! Personal data: encrypted under a key for each subject, erased by destroying the key.
//!
//! A field of an event that is personal is a [`Personal<T>`]. It is encrypted with AES-256-GCM
//! whenever it is written, by [`Keyring::seal`], and decrypted whenever it is read, by
//! [`Keyring::open`]; outside of these two it can be neither written nor read, so plaintext does
//! not get into the log by accident. The key belongs to the [`Subject`], is itself encrypted
//! (wrapped) by a [key-encryption key](KeyEncryptionKeys) that the database never sees, and is
//! destroyed by [`EventStore::erase`](crate::EventStore::erase). What was written under it then
//! reads as erased, in the log, in snapshots and in copies of the database, and nothing of the log
//! is changed.
//!
//! Keys are cached, a bounded number of them. Every process asks twice a second what was erased and
//! is notified besides; one that could not ask for [`TRUST`] does not use its cache but asks for
//! each key, and fails if nobody answers. So nothing is readable a second after its erasure, whatever
//! becomes of the notification, the connection or the clock.
//!
//! Not here: which data is personal, who may erase, and what a read model made of it; those follow
//! the event [`SUBJECT_ERASED`] like any other. Why so: docs/adr/0010-personal-data.md.

mod cache;
mod cipher;
mod digest;
mod erase;
mod erasures;
mod error;
mod freshness;
mod key_encryption;
mod keyring;
mod place;
mod rotate;
mod scope;
mod subject;
mod table;
mod value;
mod watch;

pub use digest::Digests;
pub use erase::SUBJECT_ERASED;
pub use error::{KeyringError, PersonalError};
pub use freshness::TRUST;
pub use key_encryption::{InvalidKeyEncryptionKeys, KeyEncryptionKeys};
pub use keyring::{Keyring, Mark};
pub use place::Place;
pub use rotate::{KeyCounts, Rotated, WrappedKeys, count_keys, key_encryption_keys_in_use};
pub use subject::{InvalidSubject, SUBJECTS, Subject};
pub use value::Personal;
