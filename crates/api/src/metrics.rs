//! What is measured of HTTP.

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// Counters and latencies by route template.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    pub(crate) requests: IntCounterVec,
    pub(crate) seconds: HistogramVec,
}

impl HttpMetrics {
    /// Registers them in `registry`.
    ///
    /// # Errors
    /// They are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new(
                "annals_http_requests_total",
                "Requests answered, by route template and status.",
            ),
            &["method", "route", "status"],
        )?;
        let buckets =
            vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        let seconds = HistogramVec::new(
            HistogramOpts::new("annals_http_request_seconds", "Time to answer, by route template.")
                .buckets(buckets),
            &["method", "route"],
        )?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        Ok(Self { requests, seconds })
    }
}
