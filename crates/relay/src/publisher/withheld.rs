//! What is not sent in its place, because it or one before it of its key cannot be (law 8).
//!
//! The key is the stream of the event. What cannot be made a message, or is too large for the
//! broker, is held in `relay.dead_letters`, and later ones of the same key behind it; only then does
//! the place count as reached. [`super::redrive`] sends it later, out of its place, after everything
//! that comes before it.
//!
//! Here is what a session knows of that: who leads is the only one who holds.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use eventstore::OutboxPlace;

use super::letters::{Aside, Kept, Letters};
use super::trouble::Trouble;

/// What is held back, as far as is known here.
pub(super) struct Withheld {
    letters: Letters,
    limit: usize,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// The first place of each key that is held: what comes before it, again, is sent in its place.
    first: HashMap<String, OutboxPlace>,
    /// Given up for ever: not sent, wherever the log is read again.
    discarded: BTreeSet<OutboxPlace>,
    count: usize,
}

impl Withheld {
    /// What is held; at most `limit` shall be.
    pub(super) async fn load(letters: Letters, limit: u32) -> Result<Self, Trouble> {
        let known = Mutex::new(Known::of(letters.kept().await?));
        Ok(Self { letters, limit: usize::try_from(limit).unwrap_or(usize::MAX), known })
    }

    /// Looks again, after something was sent or given up. Not while something is being held.
    pub(super) async fn reload(&self) -> Result<(), Trouble> {
        let known = Known::of(self.letters.kept().await?);
        *self.known() = known;
        Ok(())
    }

    /// The letters themselves.
    pub(super) const fn letters(&self) -> &Letters {
        &self.letters
    }

    /// Whether something is held.
    pub(super) fn is_any(&self) -> bool {
        self.known().count > 0
    }

    /// How many more may be held.
    pub(super) fn room(&self) -> usize {
        self.limit.saturating_sub(self.known().count)
    }

    /// Why no more is held.
    pub(super) fn full(&self) -> Trouble {
        let limit = self.limit;
        Trouble::Refused(format!(
            "{limit} messages are held already: it is not the events that are broken; run a version \
             that can publish them, then `annals dead-letters retry --all`"
        ))
    }

    /// Whether what stands at `place` comes behind another one of `key` that is held, or of those
    /// that are about to be.
    pub(super) fn is_behind(&self, key: &str, place: OutboxPlace, about: &[Aside]) -> bool {
        about.iter().any(|one| one.key == key)
            || self.known().first.get(key).is_some_and(|first| *first <= place)
    }

    /// Whether somebody gave up what stands at `place`.
    pub(super) fn is_discarded(&self, place: OutboxPlace) -> bool {
        self.known().discarded.contains(&place)
    }

    /// Holds `aside`.
    pub(super) async fn hold(&self, aside: &[Aside]) -> Result<(), Trouble> {
        self.letters.hold(aside).await?;
        for Aside { id, place, key, failed, .. } in aside {
            if let Some((error, again_after_s)) = failed {
                let position = place.position();
                tracing::warn!(
                    message.id = %id, %position, key, error = %error, again_after_s,
                    "an event cannot be published and is held, later ones of its key wait behind it"
                );
            }
        }
        let mut known = self.known();
        for Aside { place, key, .. } in aside {
            let first = known.first.entry(key.clone()).or_insert(*place);
            *first = (*first).min(*place);
        }
        known.count += aside.len();
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn of(letters: Vec<Kept>) -> Self {
        let mut known = Self::default();
        for Kept { key, place, is_discarded } in letters {
            if is_discarded {
                known.discarded.insert(place);
                continue;
            }
            let first = known.first.entry(key).or_insert(place);
            *first = (*first).min(place);
            known.count += 1;
        }
        known
    }
}
