//! How read models are doing, whichever process keeps them, as metrics.

use eventstore::EventStore;
use projections::overview::overview;
use prometheus::{GaugeVec, IntGaugeVec, Opts, Registry};

#[derive(Clone)]
pub(super) struct ProjectionMetrics {
    position: IntGaugeVec,
    lag_events: IntGaugeVec,
    lag_seconds: GaugeVec,
    parked: IntGaugeVec,
    differs: IntGaugeVec,
    rebuild_done: GaugeVec,
    rebuild_rate: GaugeVec,
}

impl ProjectionMetrics {
    pub(super) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let whole = |name: &str, help: &str| {
            let gauge = IntGaugeVec::new(Opts::new(name, help), &["projection"])?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        let real = |name: &str, help: &str| {
            let gauge = GaugeVec::new(Opts::new(name, help), &["projection"])?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        Ok(Self {
            position: whole(
                "annals_projection_position",
                "Position up to which a read model has taken in the log.",
            )?,
            lag_events: whole(
                "annals_projection_lag_events",
                "Events since the first one that a read model has yet to take in.",
            )?,
            lag_seconds: real(
                "annals_projection_lag_seconds",
                "How long the first event that a read model has yet to take in has waited.",
            )?,
            parked: whole(
                "annals_projection_parked_keys",
                "Keys whose events wait because one of them could not take effect.",
            )?,
            differs: whole(
                "annals_projection_differs",
                "1 if a read model has skipped an event or taken one twice, by the continuous count.",
            )?,
            rebuild_done: real(
                "annals_projection_rebuild_done",
                "How much of the making of a read model is done, from 0 to 1.",
            )?,
            rebuild_rate: real(
                "annals_projection_rebuild_rate",
                "Positions of the log that the making of a read model takes in a second.",
            )?,
        })
    }

    pub(super) async fn refresh(&self, store: &EventStore) -> Result<(), sqlx::Error> {
        self.rebuild_done.reset();
        self.rebuild_rate.reset();
        for read_model in overview(store, projections::ALL).await? {
            let labels = [read_model.name.as_str()];
            if let Some(live) = read_model.live {
                self.position.with_label_values(&labels).set(live.position.get());
                self.lag_events.with_label_values(&labels).set(live.behind_events);
                self.lag_seconds.with_label_values(&labels).set(live.behind_seconds);
                self.parked.with_label_values(&labels).set(live.parked_keys);
                self.differs.with_label_values(&labels).set(live.difference.is_some().into());
            }
            if let Some(making) = read_model.making {
                let rate = making.rate.unwrap_or_default();
                self.rebuild_done.with_label_values(&labels).set(making.done);
                self.rebuild_rate.with_label_values(&labels).set(rate.into());
            }
        }
        Ok(())
    }
}
