//! The keys of subjects, and what they are used for.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::{PgConnection, PgPool};
use tokio::sync::OnceCell;
use uuid::Builder;

use super::cache::Cache;
use super::cipher::{self, SubjectKey};
use super::digest::Digests;
use super::erasures::Erasures;
use super::freshness::{Asked, Freshness};
use super::rotate::key_encryption_keys_in_use;
use super::scope::{self, Known, Mode, Scope};
use super::table::{self, Row, Wrapped};
use super::watch::{Watching, watch};
use super::{KeyEncryptionKeys, KeyringError, PersonalError, Place, Subject};
use crate::answer::{silent, within};
use crate::{EventStore, RecordedEvent};

/// How often something is tried. The second try has all keys, unless their owners are named inside
/// of what they encrypt, or answers come too late to be relied on.
const TRIES: usize = 8;

/// The keys of the subjects of one log. Clones share the cache.
///
/// It holds one connection of its own, besides those of the store, on which it asks what is erased.
#[derive(Clone)]
pub struct Keyring {
    pub(super) shared: Arc<Shared>,
    pub(super) store: EventStore,
    _watching: Arc<Watching>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.shared.keys).finish_non_exhaustive()
    }
}

/// What all clones, and the calls and values they have opened, have in common.
pub(super) struct Shared {
    pub(super) pool: PgPool,
    pub(super) keys: KeyEncryptionKeys,
    pub(super) erasures: Arc<Erasures>,
    pub(super) freshness: Freshness,
    /// The key of digests, which is never erased.
    pub(super) digests: OnceCell<Digests>,
    cache: Mutex<Cache>,
}

/// A moment of a [`Keyring`]: see [`Keyring::holds`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(u64);

impl Keyring {
    /// The keys of the subjects of `store`, wrapped by `keys`; caches at most `cached_subjects` of them, some
    /// 200 bytes each.
    ///
    /// A task of the current runtime asks what is erased until the last clone is dropped.
    ///
    /// # Errors
    /// [`KeyringError::MissingKeyEncryptionKey`]: one that is in use was not given.
    /// [`KeyringError::Database`]: the database cannot be asked.
    pub async fn connect(
        store: &EventStore,
        keys: KeyEncryptionKeys,
        cached_subjects: NonZeroUsize,
    ) -> Result<Self, KeyringError> {
        let pool = store.pool().clone();
        let used = key_encryption_keys_in_use(store).await?;
        if let Some(id) = used.into_iter().find(|id| !keys.contains(id)) {
            return Err(KeyringError::MissingKeyEncryptionKey { id });
        }
        let shared = Arc::new(Shared {
            pool,
            keys,
            erasures: Arc::default(),
            freshness: Freshness::default(),
            digests: OnceCell::new(),
            cache: Mutex::new(Cache::new(cached_subjects)),
        });
        let watching = Arc::new(watch(&shared).await?);
        Ok(Self { shared, store: store.clone(), _watching: watching })
    }

    /// Does `work`, which writes values that belong to `place`: inside of it
    /// [`Personal`](super::Personal) can be serialized. A subject of which nothing was written
    /// before gets a key.
    ///
    /// `work` is called again if keys had to be fetched, all of them by one query; what it made
    /// before is thrown away, so it must have no other effect. Without personal data in it, it
    /// is called once and costs nothing more.
    ///
    /// A process may seal for up to [`TRUST`](super::TRUST) after an erasure that it has not heard
    /// of; what it then writes is erased from the start, because the key is gone.
    ///
    /// # Errors
    /// [`KeyringError::Erased`]: a new value is of an erased subject.
    /// Others of the keyring, or what `work` says.
    pub async fn seal<R, E>(
        &self,
        place: &Place,
        work: impl FnMut() -> Result<R, E>,
    ) -> Result<R, PersonalError<E>> {
        self.run(None, Mode::Seal, place.clone(), work).await
    }

    /// Does `work`, which reads values that belong to `place`: inside of it
    /// [`Personal`](super::Personal) can be deserialized, and is erased if its subject is.
    ///
    /// As [`Keyring::seal`], `work` may be called again.
    ///
    /// # Errors
    /// [`KeyringError::Altered`] and the like: something was not written by [`Keyring::seal`] for
    /// this place. Others of the keyring, or what `work` says.
    pub async fn open<R, E>(
        &self,
        place: &Place,
        work: impl FnMut() -> Result<R, E>,
    ) -> Result<R, PersonalError<E>> {
        self.run(None, Mode::Open, place.clone(), work).await
    }

    /// [`Keyring::open`], asking for keys on a connection that the caller has already: who waits
    /// for another one may wait for somebody who does the same.
    pub(crate) async fn open_on<R, E>(
        &self,
        connection: &mut PgConnection,
        place: &Place,
        work: impl FnMut() -> Result<R, E>,
    ) -> Result<R, PersonalError<E>> {
        self.run(Some(connection), Mode::Open, place.clone(), work).await
    }

    /// Decodes events, for example a page of them: [`Keyring::open`] the place of each, with at
    /// most one query for all keys that are not cached.
    ///
    /// # Errors
    /// As [`Keyring::open`].
    pub async fn open_events<'a, R, E>(
        &self,
        events: impl IntoIterator<Item = &'a RecordedEvent> + Clone,
        decode: impl FnMut(&RecordedEvent) -> Result<R, E>,
    ) -> Result<Vec<R>, PersonalError<E>> {
        self.run(None, Mode::Open, Place::other(""), each_at_its_place(events, decode)).await
    }

    /// [`Keyring::open_events`] as [`Keyring::open_on`].
    pub(crate) async fn open_events_on<'a, R, E>(
        &self,
        connection: &mut PgConnection,
        events: impl IntoIterator<Item = &'a RecordedEvent> + Clone,
        decode: impl FnMut(&RecordedEvent) -> Result<R, E>,
    ) -> Result<Vec<R>, PersonalError<E>> {
        let decode = each_at_its_place(events, decode);
        self.run(Some(connection), Mode::Open, Place::other(""), decode).await
    }

    /// Now, for [`Keyring::holds`]; to be taken before the values are opened that shall be kept.
    #[must_use]
    pub fn mark(&self) -> Mark {
        Mark(self.shared.erasures.count())
    }

    /// Whether nothing at all was erased since `mark`, and that is known for sure.
    ///
    /// Whoever keeps opened values for longer than a moment, as a cache of aggregates does, asks
    /// this before each use and drops what they keep if it does not hold. Without it, a kept value
    /// reads as erased as soon as its process hears of it, which may be never if the
    /// database is away.
    #[must_use]
    pub fn holds(&self, mark: Mark) -> bool {
        self.shared.freshness.is_trusted() && self.shared.erasures.count() == mark.0
    }

    async fn run<R, E>(
        &self,
        mut connection: Option<&mut PgConnection>,
        mode: Mode,
        place: Place,
        mut work: impl FnMut() -> Result<R, E>,
    ) -> Result<R, PersonalError<E>> {
        let mut fetched = HashMap::new();
        for _ in 0..TRIES {
            let mut scope = Scope::new(mode, place.clone(), Arc::clone(&self.shared));
            scope.fetched = fetched;
            let (mut scope, outcome) = scope.run(&mut work);
            if scope.missing.is_empty() {
                return match scope.failure {
                    Some(failure) => Err(failure.into()),
                    None => outcome.map_err(PersonalError::Codec),
                };
            }
            // All of them, so that everything is known of one moment.
            scope.missing.extend(scope.fetched.into_keys());
            let asked = Asked::now();
            fetched = self.shared.fetch(connection.as_deref_mut(), &scope.missing, mode).await?;
            if !asked.is_recent() {
                // The answer took so long that it may be wrong by now.
                fetched.clear();
            }
        }
        Err(KeyringError::from(silent()).into())
    }
}

/// Decodes each of `events` where it belongs.
fn each_at_its_place<'a, R, E>(
    events: impl IntoIterator<Item = &'a RecordedEvent> + Clone,
    mut decode: impl FnMut(&RecordedEvent) -> Result<R, E>,
) -> impl FnMut() -> Result<Vec<R>, E> {
    move || {
        let decoded = events.clone().into_iter().map(|event| {
            scope::at(Place::event(&event.stream));
            decode(event)
        });
        decoded.collect()
    }
}

impl Shared {
    /// The cached key of `subject`, while the cache may be relied on.
    pub(super) fn cached(&self, subject: &Subject) -> Option<Arc<SubjectKey>> {
        if !self.freshness.is_trusted() {
            return None;
        }
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(subject)
    }

    /// Makes this process know that `subjects` are erased.
    pub(super) fn forget<'a>(&self, subjects: impl IntoIterator<Item = &'a Subject>) {
        for subject in subjects {
            // In this order: who has fetched the key meanwhile caches it no more.
            self.erasures.add(subject);
            self.cache.lock().unwrap_or_else(PoisonError::into_inner).remove(subject);
        }
    }

    /// What there is of `subjects`, and of each something: in order to seal, keys are made.
    pub(super) async fn fetch(
        &self,
        connection: Option<&mut PgConnection>,
        subjects: &BTreeSet<Subject>,
        mode: Mode,
    ) -> Result<HashMap<Subject, Known>, KeyringError> {
        let names: Vec<&str> = subjects.iter().map(Subject::as_str).collect();
        let mut rows = match connection {
            Some(connection) => within(table::find(connection, &names)).await?,
            None => {
                within(async { table::find(&mut *self.pool.acquire().await?, &names).await })
                    .await?
            }
        };
        if rows.len() < names.len() && mode == Mode::Seal {
            let there: BTreeSet<_> = rows.iter().map(Row::subject).collect();
            let absent = subjects.iter().filter(|subject| !there.contains(subject));
            let new = absent.map(|subject| self.make(subject)).collect::<Result<Vec<_>, _>>()?;
            // Whoever was faster has made the key that counts.
            rows = within(async {
                let mut connection = self.pool.acquire().await?;
                table::add(&mut connection, &new).await?;
                table::find(&mut connection, &names).await
            })
            .await?;
        }
        let mut known = HashMap::with_capacity(rows.len());
        for row in rows {
            match row {
                Row::Erased(subject) => known.insert(subject, Known::Erased),
                Row::Key(Wrapped { subject, id, bytes, by }) => {
                    let key = Arc::new(self.keys.unwrap(&subject, id, &by, bytes)?);
                    self.keep(&subject, &key);
                    known.insert(subject, Known::Key(key))
                }
            };
        }
        match subjects.iter().find(|subject| !known.contains_key(subject)) {
            Some(subject) => Err(KeyringError::UnknownSubject { subject: subject.clone() }),
            None => Ok(known),
        }
    }

    /// A new key for `subject`, wrapped.
    fn make(&self, subject: &Subject) -> Result<Wrapped, KeyringError> {
        let mut id = [0; 16];
        cipher::fill(&mut id)?;
        let id = Builder::from_random_bytes(id).into_uuid();
        let key = SubjectKey { id, bytes: cipher::new_key()? };
        let bytes = self.keys.wrap(subject, &key)?;
        let by = self.keys.current_id().to_owned();
        Ok(Wrapped { subject: subject.clone(), id, bytes, by })
    }

    fn keep(&self, subject: &Subject, key: &Arc<SubjectKey>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.erasures.contains(subject) {
            cache.insert(subject.clone(), Arc::clone(key));
        }
    }
}
