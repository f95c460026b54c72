//! Statistics of how long things took: every sample is kept, so quantiles are exact.

use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Latencies {
    sorted: Vec<Duration>,
}

impl FromIterator<Duration> for Latencies {
    fn from_iter<T: IntoIterator<Item = Duration>>(samples: T) -> Self {
        let mut sorted: Vec<Duration> = samples.into_iter().collect();
        sorted.sort_unstable();
        Self { sorted }
    }
}

impl Latencies {
    pub(crate) fn count(&self) -> usize {
        self.sorted.len()
    }

    /// The smallest sample that at least the share `q` of all samples does not exceed (nearest
    /// rank); nothing without samples.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "a rank is between 1 and the count, and no run counts to 2^52"
    )]
    pub(crate) fn quantile(&self, q: f64) -> Option<Duration> {
        let rank = (q * self.sorted.len() as f64).ceil().max(1.0) as usize;
        self.sorted.get(rank - 1).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_ranks() {
        let latencies: Latencies = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(latencies.quantile(0.0), Some(Duration::from_millis(1)));
        assert_eq!(latencies.quantile(0.5), Some(Duration::from_millis(100)));
        assert_eq!(latencies.quantile(0.99), Some(Duration::from_millis(198)));
        assert_eq!(latencies.quantile(1.0), Some(Duration::from_millis(200)));
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(Latencies::from_iter([]).quantile(0.5), None);
    }
}
