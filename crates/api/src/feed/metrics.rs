//! What is measured of the feed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use eventstore::Position;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// Counters of the feed, and how far its connections are.
#[derive(Debug, Clone)]
pub struct FeedMetrics {
    pub(super) connections: IntGaugeVec,
    pub(super) sent: IntCounter,
    pub(super) closed: IntCounterVec,
    pub(super) places: Places,
}

impl FeedMetrics {
    /// Registers them in `registry`.
    ///
    /// # Errors
    /// They are registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let connections = IntGaugeVec::new(
            Opts::new("annals_feed_connections", "Connections of the feed, by transport."),
            &["transport"],
        )?;
        let sent = IntCounter::new(
            "annals_feed_messages_sent_total",
            "Messages handed to connections of the feed.",
        )?;
        let closed = IntCounterVec::new(
            Opts::new("annals_feed_closed_total", "Connections of the feed that ended, by reason."),
            &["reason"],
        )?;
        let behind = IntGauge::new(
            "annals_feed_behind_positions",
            "Positions of the log that the connection of the feed that is furthest behind has to go.",
        )?;
        let places = Places { behind, all: Arc::default() };
        registry.register(Box::new(connections.clone()))?;
        registry.register(Box::new(sent.clone()))?;
        registry.register(Box::new(closed.clone()))?;
        registry.register(Box::new(places.clone()))?;
        Ok(Self { connections, sent, closed, places })
    }
}

/// Where every connection is, looked at when somebody asks.
#[derive(Debug, Clone)]
pub(super) struct Places {
    behind: IntGauge,
    all: Arc<Mutex<All>>,
}

#[derive(Debug, Default)]
struct All {
    reached: i64,
    next: u64,
    places: HashMap<u64, Arc<AtomicI64>>,
}

impl Places {
    /// How far messages are there to be taken.
    pub(super) fn reached(&self, position: Position) {
        self.with(|all| all.reached = position.get());
    }

    /// A place for one more connection, under a number of its own.
    pub(super) fn add(&self) -> (u64, Arc<AtomicI64>) {
        self.with(|all| {
            let place = Arc::new(AtomicI64::new(i64::MAX));
            all.next += 1;
            all.places.insert(all.next, Arc::clone(&place));
            (all.next, place)
        })
    }

    pub(super) fn remove(&self, number: u64) {
        self.with(|all| all.places.remove(&number));
    }

    fn with<T>(&self, work: impl FnOnce(&mut All) -> T) -> T {
        work(&mut self.all.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Collector for Places {
    fn desc(&self) -> Vec<&Desc> {
        self.behind.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let behind = self.with(|all| {
            let furthest = all.places.values().map(|place| place.load(Ordering::Relaxed)).min();
            furthest.map_or(0, |furthest| all.reached.saturating_sub(furthest).max(0))
        });
        self.behind.set(behind);
        self.behind.collect()
    }
}
