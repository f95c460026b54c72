//! The machine's clock.

use application::ports::Clock;
use chrono::{DateTime, Utc};

/// Tells the time of the machine, in UTC.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everybody else takes")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}
