//! The time during which personal data can be written or read: one synchronous call.
//!
//! What is in here is kept by the thread, because serde hands nothing through. A call that meets a
//! subject whose key is not at hand notes it and goes on with nothing in its place; the keyring
//! then fetches all keys that were noted at once, and makes the call again.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::cipher::SubjectKey;
use super::erasures::Erasures;
use super::keyring::Shared;
use super::{KeyringError, Place, Subject};

thread_local! {
    static SCOPE: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Seal,
    Open,
}

/// What is known of a subject.
#[derive(Clone)]
pub(super) enum Known {
    Key(Arc<SubjectKey>),
    Erased,
}

/// What a value in the scope is told.
pub(super) enum Found {
    /// Its key, and where it belongs.
    Key(Arc<SubjectKey>, Place),
    /// Its subject is erased.
    Erased,
    /// The key is not at hand; the result of this call is thrown away.
    NotYet,
}

/// One call.
pub(super) struct Scope {
    mode: Mode,
    place: Place,
    shared: Arc<Shared>,
    /// Keys that were fetched for this call.
    pub(super) fetched: HashMap<Subject, Known>,
    /// Subjects whose keys are not at hand.
    pub(super) missing: BTreeSet<Subject>,
    /// The first thing that was wrong with a value.
    pub(super) failure: Option<KeyringError>,
    /// Erasures that were known at the beginning.
    erasures: u64,
}

impl Scope {
    pub(super) fn new(mode: Mode, place: Place, shared: Arc<Shared>) -> Self {
        let erasures = shared.erasures.count();
        let (fetched, missing) = (HashMap::new(), BTreeSet::new());
        Self { mode, place, shared, fetched, missing, failure: None, erasures }
    }

    /// Does `work` with this scope in force; gives the scope back, and what was done.
    pub(super) fn run<R>(self, work: impl FnOnce() -> R) -> (Self, R) {
        let outer = SCOPE.replace(Some(self));
        // Also if `work` panics.
        let restore = Restore { outer, is_done: false };
        let done = work();
        (restore.end(), done)
    }

    fn find(&mut self, subject: &Subject) -> Found {
        let known = if self.shared.erasures.contains(subject) {
            Some(Known::Erased)
        } else {
            let cached = || self.shared.cached(subject).map(Known::Key);
            self.fetched.get(subject).cloned().or_else(cached)
        };
        match known {
            Some(Known::Key(key)) => Found::Key(key, self.place.clone()),
            Some(Known::Erased) => Found::Erased,
            None => {
                self.missing.insert(subject.clone());
                Found::NotYet
            }
        }
    }
}

struct Restore {
    outer: Option<Scope>,
    is_done: bool,
}

impl Restore {
    #[expect(clippy::expect_used, reason = "`run` has put it there and nobody else takes it")]
    fn end(mut self) -> Scope {
        self.is_done = true;
        SCOPE.replace(self.outer.take()).expect("the scope of this call")
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        if !self.is_done {
            SCOPE.set(self.outer.take());
        }
    }
}

/// From here on, values belong to `place`.
pub(super) fn at(place: Place) {
    SCOPE.with_borrow_mut(|scope| {
        if let Some(scope) = scope {
            scope.place = place;
        }
    });
}

/// What there is for a value of `subject`; nothing outside of a scope of this `mode`.
pub(super) fn find(mode: Mode, subject: &Subject) -> Option<Found> {
    SCOPE.with_borrow_mut(|scope| {
        let scope = scope.as_mut().filter(|scope| scope.mode == mode)?;
        Some(scope.find(subject))
    })
}

/// Notes what is wrong with a value, if nothing was before.
pub(super) fn fail(error: KeyringError) {
    SCOPE.with_borrow_mut(|scope| {
        if let Some(scope) = scope {
            scope.failure.get_or_insert(error);
        }
    });
}

/// What a value that is being opened needs to know later whether it was erased.
pub(super) fn watched() -> Option<(Arc<Erasures>, u64)> {
    SCOPE.with_borrow(|scope| {
        scope.as_ref().map(|scope| (Arc::clone(&scope.shared.erasures), scope.erasures))
    })
}
