//! Traces: what the parts of a process record as spans, on its way to a collector.
//!
//! A span that has ended goes into a queue that never waits ([`queue`]); one task sends what is there
//! ([`sender`]) as OTLP over HTTP ([`collector`]). A collector that is away, slow or refuses costs
//! spans, which are counted, and nothing else: no part of the process ever waits for it.
//!
//! Without an address of a collector nothing of this is started, and no part records a span.
//! Why no exporter of OpenTelemetry's own: docs/adr/0019-traces.md.

mod collector;
mod metrics;
mod queue;
mod sender;

use std::time::Duration;

use opentelemetry::{KeyValue, global};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider, SpanLimits};
use prometheus::Registry;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::config;
use collector::Client;
use metrics::SpanMetrics;
use sender::Sender;

/// How much longer than a flush its end is waited for.
const GRACE: Duration = Duration::from_millis(500);

/// The way of traces out of this process.
pub struct Telemetry {
    provider: SdkTracerProvider,
    metrics: SpanMetrics,
    sender: JoinHandle<()>,
    stop: CancellationToken,
    flush: Duration,
}

impl Telemetry {
    /// Begins to record, for all parts of the process, known to the collector as `instance`; `None` if
    /// `config` names no collector.
    ///
    /// # Errors
    /// The collector cannot be reached the way it is told, or there are no certificate authorities.
    pub fn start(config: &config::Telemetry, instance: Uuid) -> anyhow::Result<Option<Self>> {
        let Some(collector) = config.collector()? else { return Ok(None) };
        let resource = Resource::builder_empty().with_attributes([
            KeyValue::new("service.name", config.service_name.clone()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", instance.to_string()),
        ]);
        let resource = resource.build();
        let metrics = SpanMetrics::new()?;
        let client = Client::new(collector, &resource)?;
        let (queue, spans) = queue::queue(metrics.clone());
        let flush = Duration::from_millis(config.flush_ms);
        let stop = CancellationToken::new();
        let sender = Sender::new(client, spans, metrics.clone());
        let sender = tokio::spawn(sender.run(stop.clone(), flush));
        let ratio = Sampler::TraceIdRatioBased(config.sample_ratio);
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(Sampler::ParentBased(Box::new(ratio)))
            .with_span_limits(SpanLimits::default())
            .with_span_processor(queue)
            .build();
        global::set_tracer_provider(provider.clone());
        Ok(Some(Self { provider, metrics, sender, stop, flush }))
    }

    /// Shows in `registry` how many spans reach the collector.
    ///
    /// # Errors
    /// They are registered already.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        self.metrics.register(registry)
    }

    /// Sends what is left, at most for as long as is set.
    pub async fn stop(self) {
        self.stop.cancel();
        if tokio::time::timeout(self.flush + GRACE, self.sender).await.is_err() {
            tracing::warn!("the last spans were not sent in time");
        }
        // Nothing is recorded from here on; there is nothing left that could go wrong.
        let _ = self.provider.shutdown();
    }
}
