//! What a process remembers of API keys, so that a request that is let in by one asks no table.
//!
//! It holds for as long as [`Access`](crate::access::Access) knows of nothing that happened to the key
//! or its owner since, nobody was erased, and no longer than that remembers what has happened.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use domain::identity::{Grant, IssuedKey, RoleName};
use domain::ids::ApiKeyId;
use eventstore::Position;
use eventstore::personal::Mark;

use crate::access::{Bearer, Credential};
use crate::opaque_token::TokenDigest;

/// Most keys that are remembered: beyond that all are read anew.
const MOST: usize = 10_000;

/// What is remembered, and which keys were used that was not written yet.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    keys: Mutex<HashMap<ApiKeyId, Arc<KnownKey>>>,
    pub(super) uses: Mutex<HashMap<ApiKeyId, DateTime<Utc>>>,
}

/// An API key as it was when the log was at a position.
#[derive(Debug)]
pub(super) struct KnownKey {
    pub(super) id: ApiKeyId,
    /// Without its name, which may be personal.
    pub(super) issued: IssuedKey,
    /// Whether the owner may come in, and the key was not over.
    pub(super) goes_on: bool,
    /// Of the owner.
    pub(super) roles: BTreeSet<RoleName>,
    pub(super) grants: Arc<BTreeSet<Grant>>,
    pub(super) secrets: Vec<(u32, TokenDigest)>,
    pub(super) position: Position,
    /// Before anything was opened.
    pub(super) mark: Mark,
    pub(super) read_at: DateTime<Utc>,
}

/// What a secret is to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It lets in.
    LetIn,
    /// It was one of the key, or the key may not be used now.
    Refused,
    /// It is none that is known: there may be another one meanwhile.
    Unknown,
}

impl KnownKey {
    pub(super) fn judge(&self, digest: &TokenDigest, now: DateTime<Utc>) -> Verdict {
        // All of them, so that it takes as long whichever it is.
        let known = self.secrets.iter().filter(|(_, known)| known == digest);
        let counts: Vec<_> = known.map(|(number, _)| self.issued.takes(*number, now)).collect();
        match counts[..] {
            [] => Verdict::Unknown,
            [true, ..] if self.goes_on && !self.issued.is_over(now) => Verdict::LetIn,
            _ => Verdict::Refused,
        }
    }

    pub(super) const fn bearer(&self) -> Bearer {
        let by = Credential::ApiKey(self.id);
        Bearer { user: self.issued.user_id, by, position: self.position }
    }
}

impl Remembered {
    pub(super) fn get(&self, id: ApiKeyId) -> Option<Arc<KnownKey>> {
        self.keys().get(&id).cloned()
    }

    pub(super) fn insert(&self, key: Arc<KnownKey>) {
        let mut keys = self.keys();
        if keys.len() >= MOST {
            keys.clear();
        }
        keys.insert(key.id, key);
    }

    pub(super) fn forget(&self, id: ApiKeyId) {
        self.keys().remove(&id);
    }

    fn keys(&self) -> MutexGuard<'_, HashMap<ApiKeyId, Arc<KnownKey>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
