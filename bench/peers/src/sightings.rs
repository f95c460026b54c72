//! What a subscriber has seen, and when.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// Shared between a subscriber, which may see an event more than once, and who counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sightings(Arc<Mutex<HashMap<u64, Instant>>>);

impl Sightings {
    /// Notes that the event `number` arrived now, unless it has before.
    pub(crate) fn saw(&self, number: u64) {
        let now = Instant::now();
        self.with(|seen| seen.entry(number).or_insert(now).to_owned());
    }

    /// How many different events have arrived.
    pub(crate) fn count(&self) -> usize {
        self.with(|seen| seen.len())
    }

    /// When the event `number` arrived first.
    pub(crate) fn first(&self, number: u64) -> Option<Instant> {
        self.with(|seen| seen.get(&number).copied())
    }

    fn with<T>(&self, look: impl FnOnce(&mut HashMap<u64, Instant>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_sighting_counts() {
        let sightings = Sightings::default();
        sightings.saw(7);
        let first = sightings.first(7).unwrap();
        sightings.saw(7);
        assert_eq!((sightings.count(), sightings.first(7)), (1, Some(first)));
        assert_eq!(sightings.first(8), None);
    }
}
