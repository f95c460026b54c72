//! What can be asked for by name.

use std::collections::BTreeSet;

use domain::{CATEGORIES, Event};
use eventstore::EventStore;
use eventstore::personal::{SUBJECT_ERASED, SUBJECTS};

/// The names of all types of events that there are, or were: those of today's domain, those that
/// the log holds, and the store's own.
///
/// # Errors
/// The database cannot be reached.
pub async fn event_types(store: &EventStore) -> Result<BTreeSet<String>, sqlx::Error> {
    let held = store.types().await?.into_iter().map(|held| held.name.to_string());
    let known = Event::types().map(|known| known.name.to_owned());
    Ok(known.chain(held).chain([SUBJECT_ERASED.to_owned()]).collect())
}

/// The names of all categories of streams, with the store's own.
#[must_use]
pub fn categories() -> BTreeSet<String> {
    CATEGORIES.iter().chain(&[SUBJECTS]).map(|&name| name.to_owned()).collect()
}
