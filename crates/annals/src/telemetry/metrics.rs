//! How many spans reach the collector, and how many do not.

use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

/// Counters of spans that have ended in this process.
#[derive(Debug, Clone)]
pub(super) struct SpanMetrics {
    pub(super) sent: IntCounter,
    pub(super) dropped: IntCounterVec,
}

/// Why a span was dropped.
#[derive(Debug, Clone, Copy)]
pub(super) enum Dropped {
    /// More ended than could be sent.
    QueueFull,
    /// The collector did not want it.
    Refused,
    /// The process ended before it could be sent.
    Unsent,
}

impl Dropped {
    const ALL: [Self; 3] = [Self::QueueFull, Self::Refused, Self::Unsent];

    const fn reason(self) -> &'static str {
        match self {
            Self::QueueFull => "queue-full",
            Self::Refused => "refused",
            Self::Unsent => "unsent",
        }
    }
}

impl SpanMetrics {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let sent = IntCounter::new(
            "annals_telemetry_spans_sent_total",
            "Spans that the collector of traces has taken.",
        )?;
        let dropped = IntCounterVec::new(
            Opts::new(
                "annals_telemetry_spans_dropped_total",
                "Spans that the collector of traces will not have.",
            ),
            &["reason"],
        )?;
        // Shown from the start: a counter that appears with its first count cannot be seen to rise.
        for why in Dropped::ALL {
            dropped.with_label_values(&[why.reason()]);
        }
        Ok(Self { sent, dropped })
    }

    pub(super) fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        registry.register(Box::new(self.sent.clone()))?;
        registry.register(Box::new(self.dropped.clone()))
    }

    pub(super) fn drop(&self, why: Dropped, spans: usize) {
        self.dropped.with_label_values(&[why.reason()]).inc_by(spans as u64);
    }
}
