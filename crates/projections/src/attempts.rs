//! When a batch that fails is tried again, and how.

use std::time::Duration;

use crate::batch::BatchError;

/// How often a batch is tried as a whole before it is taken key by key.
const WHOLE: u32 = 4;

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Tries of one batch.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    made: u32,
    poisoned: u32,
}

impl Attempts {
    /// How often it has failed.
    pub(crate) const fn made(&self) -> u32 {
        self.made
    }

    /// Whether it failed so often by the fault of its events that those at fault are to be parked.
    /// Trouble of another kind never leads there: it would park everything.
    pub(crate) const fn is_poisoned(&self) -> bool {
        self.poisoned >= WHOLE
    }

    /// It failed again; answers with the pause before the next try.
    pub(crate) fn failed(&mut self, error: &BatchError) -> Duration {
        self.made += 1;
        self.poisoned += u32::from(matches!(error, BatchError::Poison(_)));
        pause_after(self.made)
    }
}

/// The pause after so many failures in a row.
pub(crate) fn pause_after(failures: u32) -> Duration {
    Duration::from_millis(50).saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE)
}
