//! How much the feed may take.

use std::time::Duration;

/// How much the feed of a process may take.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Most connections at once.
    pub connections: usize,
    /// How long nothing is sent before a sign of life is, with how far the log was read.
    pub heartbeat: Duration,
    /// Most bytes of messages that are kept for connections to take.
    pub ring_bytes: usize,
    /// Most messages that are kept.
    pub ring_messages: usize,
    /// How many positions of the log a connection may fall behind after it had come to its end.
    pub behind: u64,
    /// How long a WebSocket may take nothing of what is sent to it.
    pub stalled: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections: 5_000,
            heartbeat: Duration::from_secs(15),
            ring_bytes: 8 * 1024 * 1024,
            ring_messages: 10_000,
            behind: 100_000,
            stalled: Duration::from_secs(10),
        }
    }
}
