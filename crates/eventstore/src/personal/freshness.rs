//! For how long what is known of erasures may be relied on.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

/// How long after the database last said what is erased cached keys are used. Nothing is readable
/// longer than this, and the time of one decoding, after its erasure.
pub const TRUST: Duration = Duration::from_millis(900);

/// When the database was last asked, successfully, what is erased.
#[derive(Debug, Default)]
pub(super) struct Freshness(RwLock<Option<Asked>>);

/// A moment by two clocks: the steady one stops while a machine sleeps, the other one can be set.
/// What either of them doubts is not relied on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    steady: Instant,
    of_day: SystemTime,
}

impl Asked {
    /// To be taken before the question is sent: what was erased before is in the answer.
    pub(super) fn now() -> Self {
        Self { steady: Instant::now(), of_day: SystemTime::now() }
    }

    pub(super) fn is_recent(&self) -> bool {
        self.is_recent_at(Self::now())
    }

    fn is_recent_at(&self, now: Self) -> bool {
        now.steady.duration_since(self.steady) < TRUST
            && now.of_day.duration_since(self.of_day).is_ok_and(|passed| passed < TRUST)
    }
}

impl Freshness {
    pub(super) fn confirm(&self, asked: Asked) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(asked);
    }

    pub(super) fn is_trusted(&self) -> bool {
        let asked = *self.0.read().unwrap_or_else(PoisonError::into_inner);
        asked.is_some_and(|asked| asked.is_recent())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_clock_ends_the_trust() {
        let asked = Asked::now();
        let later = |steady, of_day| Asked {
            steady: asked.steady + Duration::from_millis(steady),
            of_day: asked.of_day + Duration::from_millis(of_day),
        };
        assert!(asked.is_recent_at(later(899, 899)));
        assert!(!asked.is_recent_at(later(900, 0)), "time passed");
        assert!(!asked.is_recent_at(later(0, 900)), "the machine slept");
        let back = Asked { of_day: asked.of_day - Duration::from_hours(1), ..asked };
        assert!(!asked.is_recent_at(back), "the clock was set back");
        assert!(!Freshness::default().is_trusted(), "nobody was asked yet");
    }
}
