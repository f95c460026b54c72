//! What a run prints: one line of JSON.

use std::time::Duration;

use serde::Serialize;

use crate::args::Settings;
use crate::load::Load;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) peer: &'static str,
    pub(crate) version: &'static str,
    pub(crate) workload: &'static str,
    #[serde(flatten)]
    pub(crate) outcome: Outcome,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Outcome {
    Measured(Measured),
    Unsupported {
        /// One sentence why.
        unsupported: &'static str,
    },
}

/// Fields that mean nothing in a workload are absent.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Measured {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tasks: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) connections: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unchecked: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) asynchronous: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rate_per_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p50_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) p99_ms: Option<f64>,
    /// How often the peer refused because of a conflict, and was asked again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retries: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) written: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) missed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delay_p50_ms: Option<f64>,
}

impl Measured {
    pub(crate) fn of_load(tasks: u16, load: &Load) -> Self {
        Self {
            tasks: Some(tasks),
            rate_per_s: Some(rate(load.latencies.count(), load.elapsed)),
            p50_ms: load.latencies.quantile(0.5).map(milliseconds),
            p99_ms: load.latencies.quantile(0.99).map(milliseconds),
            retries: Some(load.retries),
            ..Self::default()
        }
    }

    pub(crate) fn with(self, settings: Settings) -> Outcome {
        let unchecked = settings.unchecked.then_some(true);
        Outcome::Measured(Self { connections: Some(settings.connections), unchecked, ..self })
    }
}

/// With one digit after the point: more would be noise.
#[expect(clippy::cast_precision_loss, reason = "no run counts to 2^52")]
pub(crate) fn rate(count: usize, elapsed: Duration) -> f64 {
    (count as f64 / elapsed.as_secs_f64() * 10.0).round() / 10.0
}

/// To the microsecond.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_fields_are_absent() {
        let measured = Measured { rate_per_s: Some(8800.0), ..Measured::default() };
        let mut report = Report {
            peer: "postgres-es",
            version: "0.5.0",
            workload: "replay",
            outcome: Outcome::Measured(measured),
        };
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"peer":"postgres-es","version":"0.5.0","workload":"replay","rate_per_s":8800.0}"#
        );
        report.outcome = Outcome::Unsupported { unsupported: "It cannot." };
        assert_eq!(
            serde_json::to_string(&report).unwrap(),
            r#"{"peer":"postgres-es","version":"0.5.0","workload":"replay","unsupported":"It cannot."}"#
        );
    }

    #[test]
    fn rates_and_times_are_rounded() {
        assert!((rate(100, Duration::from_secs(3)) - 33.3).abs() < f64::EPSILON);
        assert!((milliseconds(Duration::from_nanos(1_234_567)) - 1.235).abs() < f64::EPSILON);
    }
}
