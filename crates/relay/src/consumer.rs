//! Gives each message of the stream to a handler, in stream order, with one effect (law 6).
//!
//! The handler works in the transaction that marks the message in `relay.inbox`: mark and effect
//! commit together, and a message whose mark is there is acknowledged and otherwise ignored. The
//! broker is told only after the commit. So every message may arrive any number of times, at any
//! number of copies of the consumer, and takes effect once.
//!
//! Nothing is skipped: a message that fails, or cannot even be read, is tried again in place
//! until it succeeds, and those after it wait. Order holds across crashes and copies as long as
//! [`ConsumerConfig::in_flight`] is 1.
//!
//! Add one: implement [`Handler`], and run a [`Consumer`] of it under a name of its own.
//! Not here: parking of what fails for ever, and retention of the inbox.

mod config;
mod delivery;
mod handler;
mod inbox;
mod session;
mod status;

use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::Broker;
use crate::backoff::Backoff;
pub use config::ConsumerConfig;
pub use handler::{Handler, HandlerError};
use session::Session;
use status::Reporter;
pub use status::{ConsumerState, ConsumerStatus};

/// A consumer of the stream. Any number of copies may run under one name.
pub struct Consumer<H> {
    pool: PgPool,
    broker: Broker,
    config: ConsumerConfig,
    handler: H,
    reporter: Reporter,
}

impl<H: Handler> Consumer<H> {
    /// Hands the messages that `config` names to `handler`; `pool` leads to the inbox and to what
    /// the handler writes.
    #[must_use]
    pub fn new(pool: PgPool, broker: Broker, config: ConsumerConfig, handler: H) -> Self {
        let reporter = Reporter::new(config.name.clone());
        Self { pool, broker, config, handler, reporter }
    }

    /// What it is doing, now and later.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<ConsumerState> {
        self.reporter.subscribe()
    }

    /// Consumes until `stop`; no failure ends it.
    ///
    /// When stopped it finishes the message in hand and returns the others to the broker.
    /// Dropping the future is safe at any point; the broker then delivers again after
    /// [`ConsumerConfig::ack_wait`].
    #[tracing::instrument(name = "relay.consume", skip_all, fields(consumer.name = %self.config.name))]
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        // Taken effect of, but the broker did not confirm that it knows.
        let mut unconfirmed = None;
        while !stop.is_cancelled() {
            let opened = stop.run_until_cancelled(Session::open(&self.broker, &self.config)).await;
            let ended = match opened {
                None => break,
                Some(Err(interrupted)) => Err(interrupted),
                Some(Ok(session)) => {
                    self.consume(&session, &mut unconfirmed, &mut backoff, &stop).await
                }
            };
            if let Err(interrupted) = ended {
                self.reporter.report(ConsumerStatus::Connecting { error: interrupted.0 });
                stop.run_until_cancelled(tokio::time::sleep(backoff.next())).await;
            }
        }
        self.reporter.report(ConsumerStatus::Stopped);
    }
}
