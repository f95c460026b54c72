//! The machine's clock.

use application::ports::Clock;
use chrono::{DateTime, SubsecRound as _, Utc};

/// Tells the time of the machine, in UTC and whole microseconds: what PostgreSQL can keep, so that
/// a time is the same wherever it is read.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else takes")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}
