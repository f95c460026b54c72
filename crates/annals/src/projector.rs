//! What this process is among those that keep read models.

use adapters::TimeOrderedIds;
use application::ports::IdSource as _;
use eventstore::EventStore;
use projections::{Source, Worker};

/// A worker of this process, of its own for as long as it runs.
pub fn worker() -> Worker {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "annals",
        host => host,
    };
    Worker { id: TimeOrderedIds.next(), name: format!("{host}, process {}", std::process::id()) }
}

/// The log, read as today's domain says it.
pub fn source(store: EventStore) -> Source {
    Source { store, decode: |recorded| Ok(application::decode(recorded)?) }
}
