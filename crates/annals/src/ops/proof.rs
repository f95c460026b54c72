//! What the relay's continuous proof has found, as metrics.

use prometheus::{IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};
use relay::verify::watch::Proof;
use tokio::sync::watch;

/// The proof of the relay in this process.
#[derive(Clone)]
pub(super) struct ProofMetrics {
    proof: watch::Receiver<Proof>,
    verified: IntGauge,
    differences: IntCounterVec,
    drift: IntGaugeVec,
}

impl ProofMetrics {
    pub(super) fn register(
        registry: &Registry,
        proof: watch::Receiver<Proof>,
    ) -> Result<Self, prometheus::Error> {
        let verified = IntGauge::new(
            "annals_relay_verified_position",
            "Position up to which the stream was compared with the log since this relay leads.",
        )?;
        let differences = IntCounterVec::new(
            Opts::new(
                "annals_relay_differences_total",
                "Messages of the stream that are not what the log says.",
            ),
            &["kind"],
        )?;
        let drift = IntGaugeVec::new(
            Opts::new(
                "annals_relay_drift",
                "Settings of the stream or a consumer that are not as declared; 1 if it is missing.",
            ),
            &["kind", "name"],
        )?;
        registry.register(Box::new(verified.clone()))?;
        registry.register(Box::new(differences.clone()))?;
        registry.register(Box::new(drift.clone()))?;
        // Shown from the start: a counter that appears with its first count cannot be seen to rise.
        for kind in ["missing", "twice", "out-of-order", "other-content", "foreign"] {
            differences.with_label_values(&[kind]);
        }
        Ok(Self { proof, verified, differences, drift })
    }

    pub(super) fn refresh(&self) {
        let proof = self.proof.borrow();
        self.verified.set(proof.verified.get());
        for (kind, count) in &proof.differences {
            let counter = self.differences.with_label_values(&[kind]);
            counter.inc_by(count.saturating_sub(counter.get()));
        }
        self.drift.reset();
        for (kind, name, settings) in &proof.drift {
            let settings = i64::try_from(*settings).unwrap_or(i64::MAX);
            self.drift.with_label_values(&[kind, name]).set(settings);
        }
    }
}
