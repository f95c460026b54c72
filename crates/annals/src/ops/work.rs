//! What the relay and the consumers of this process have done, and the connections they did it over.

use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};
use relay::{ConsumerState, RelayState};
use sqlx::PgPool;
use tokio::sync::watch;

/// Where it is said what was done.
#[derive(Clone, Default)]
pub(super) struct Workers {
    pub(super) relay: Option<watch::Receiver<RelayState>>,
    pub(super) consumers: Vec<(String, watch::Receiver<ConsumerState>)>,
}

/// What was done, counted since the process began.
#[derive(Clone)]
pub(super) struct WorkMetrics {
    workers: Workers,
    published: IntCounter,
    messages: IntCounterVec,
    connections: IntGaugeVec,
}

impl WorkMetrics {
    pub(super) fn register(
        registry: &Registry,
        workers: Workers,
    ) -> Result<Self, prometheus::Error> {
        let published = IntCounter::new(
            "annals_relay_published_total",
            "Messages that the relay of this process has brought into the stream.",
        )?;
        let messages = IntCounterVec::new(
            Opts::new(
                "annals_consumer_messages_total",
                "Messages that the consumers of this process are done with, by what became of them.",
            ),
            &["consumer", "outcome"],
        )?;
        let connections = IntGaugeVec::new(
            Opts::new("annals_database_connections", "Connections of this process, by state."),
            &["state"],
        )?;
        if workers.relay.is_some() {
            registry.register(Box::new(published.clone()))?;
        }
        if !workers.consumers.is_empty() {
            registry.register(Box::new(messages.clone()))?;
        }
        registry.register(Box::new(connections.clone()))?;
        Ok(Self { workers, published, messages, connections })
    }

    pub(super) fn refresh(&self, pool: &PgPool) {
        if let Some(relay) = &self.workers.relay {
            follow(&self.published, relay.borrow().published_messages);
        }
        for (consumer, state) in &self.workers.consumers {
            let state = state.borrow();
            for (outcome, count) in
                [("effect", state.effects), ("repeated", state.repeated), ("held", state.held)]
            {
                follow(&self.messages.with_label_values(&[consumer.as_str(), outcome]), count);
            }
        }
        let idle = i64::try_from(pool.num_idle()).unwrap_or(i64::MAX);
        self.connections.with_label_values(&["idle"]).set(idle);
        // Both are read without a lock, one after the other.
        let busy = (i64::from(pool.size()) - idle).max(0);
        self.connections.with_label_values(&["busy"]).set(busy);
    }
}

fn follow(counter: &IntCounter, count: u64) {
    counter.inc_by(count.saturating_sub(counter.get()));
}
