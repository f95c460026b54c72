//! How fast is published at most: a bucket of tokens, filled as time goes by.

use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

/// For how long tokens are saved, and so how much comes at once at most.
const BURST: Duration = Duration::from_millis(100);

/// The messages that may be sent now.
pub(super) struct Pace {
    limit: Option<Bucket>,
}

struct Bucket {
    /// Between two tokens.
    interval: Duration,
    capacity: u32,
    tokens: u32,
    /// Tokens are counted up to here.
    counted: Instant,
}

impl Pace {
    /// At most `per_second` messages; as many as possible without a limit.
    pub(super) fn new(per_second: Option<NonZeroU32>) -> Self {
        let limit = per_second.map(|per_second| {
            let interval = Duration::from_secs(1) / per_second.get();
            let saved = BURST.as_nanos() / interval.as_nanos().max(1);
            let capacity = u32::try_from(saved).unwrap_or(u32::MAX).max(1);
            Bucket { interval, capacity, tokens: capacity, counted: Instant::now() }
        });
        Self { limit }
    }

    /// Whether one more may be sent `now`, which takes a token.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        let Some(bucket) = &mut self.limit else { return true };
        bucket.fill(now);
        let is_allowed = bucket.tokens > 0;
        bucket.tokens = bucket.tokens.saturating_sub(1);
        is_allowed
    }

    /// When to ask again: when half of what can be saved is there, not for each message.
    pub(super) fn next(&self) -> Option<Instant> {
        let bucket = self.limit.as_ref()?;
        let missing = bucket.capacity.div_ceil(2).saturating_sub(bucket.tokens).max(1);
        Some(bucket.counted + bucket.interval * missing)
    }
}

impl Bucket {
    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.counted);
        let new = passed.as_nanos() / self.interval.as_nanos().max(1);
        let new = u32::try_from(new).unwrap_or(u32::MAX);
        if new >= self.capacity - self.tokens {
            (self.tokens, self.counted) = (self.capacity, now);
        } else {
            self.tokens += new;
            self.counted += self.interval * new;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever sends all that is allowed, looking again when told, sends no more than that.
    fn sent_in(pace: &mut Pace, time: Duration) -> (u32, u32) {
        let mut now = Instant::now();
        let end = now + time;
        let (mut sent, mut looked) = (0, 0);
        while now < end {
            looked += 1;
            while pace.allows(now) {
                sent += 1;
            }
            now = pace.next().unwrap();
        }
        (sent, looked)
    }

    #[test]
    fn no_more_than_allowed_and_no_less() {
        for per_second in [1, 3, 10, 700, 5_000, 1_000_000] {
            let mut pace = Pace::new(NonZeroU32::new(per_second));
            let (sent, looked) = sent_in(&mut pace, Duration::from_mins(1));
            let (all, burst) = (per_second * 60, (per_second / 10).max(1));
            assert!((all - burst..=all + burst).contains(&sent), "{sent} of {all}");
            assert!(looked <= 60 * 20 + all.min(600), "looked {looked} times for {sent} messages");
        }
    }

    #[test]
    fn a_long_silence_saves_no_more_than_a_burst() {
        let mut pace = Pace::new(NonZeroU32::new(1_000));
        let later = Instant::now() + Duration::from_hours(1);
        assert_eq!((0..10_000).filter(|_| pace.allows(later)).count(), 100);
    }

    #[test]
    fn without_a_limit_everything_is_allowed() {
        let mut pace = Pace::new(None);
        let now = Instant::now();
        assert!((0..10_000).all(|_| pace.allows(now)));
        assert_eq!(pace.next(), None);
    }
}
