//! How long to wait before trying again: twice as long each time, up to a cap.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(20);
const CAP: Duration = Duration::from_secs(5);

/// The waits of one thing that is tried again and again.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure: 20 ms, 40 ms, 80 ms … 5 s.
    pub(crate) fn next(&mut self) -> Duration {
        let wait = FIRST.saturating_mul(1 << self.failures.min(10)).min(CAP);
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// It worked.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_cap_and_starts_again() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..20).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(waits[..4], [20, 40, 80, 160]);
        assert_eq!(waits[19], 5_000);
        backoff.reset();
        assert_eq!(backoff.next(), FIRST);
    }
}
