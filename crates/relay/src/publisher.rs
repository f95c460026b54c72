//! Brings every message of the outbox into the stream, once and in log order (law 5).
//!
//! One publisher leads at a time, under the leased cursor `relay:<stream>`. It reads the outbox
//! after the cursor, or the log where the outbox is retired, and keeps a window of messages on their
//! way; each names the sequence that the stream must be at, so that the broker itself refuses a
//! second writer, a repetition and a gap. The cursor follows what is acknowledged.
//!
//! Whatever is not as expected is doubt, and doubt is never argued with: the connection is
//! dropped, a new one reads the last message of the stream, and publishing resumes after the
//! position that message carries, whatever the cursor says. The table of cases is in
//! [`resume`]; why it is so, and what the broker was seen to do: docs/adr/0005-publish-with-expected-sequence.md.
//!
//! What cannot be sent is held with what follows of its stream, and sent later: [`withheld`],
//! docs/adr/0015-held-back-by-the-publisher.md.
//!
//! What is published is retired from the outbox, a range at a time:
//! docs/adr/0012-outbox-by-ranges.md. Commands never wait for any of this.

mod lag;
mod lease;
mod letters;
mod pace;
mod pipeline;
mod publishing;
mod ready;
mod redrive;
mod resume;
mod retention;
mod session;
mod source;
mod span;
mod status;
mod stream;
mod trouble;
mod withheld;

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use eventstore::{EventStore, OutboxPlace, Position, Wakeup};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::{Broker, Namespace, Render, Retries, StreamLimits};
pub use lag::oldest_unpublished;
use lease::{Candidacy, Lease};
use publishing::Publishing;
use status::Reporter;
pub use status::{RelayState, RelayStatus};
use trouble::Trouble;

/// Where and how is published.
#[derive(Debug, Clone)]
pub struct PublisherConfig {
    /// Where NATS is.
    pub broker: Broker,
    /// Of the installation; names the stream and begins the subjects.
    pub namespace: Namespace,
    /// How many servers keep the stream, if this publisher is the one who creates it.
    pub replicas: NonZeroUsize,
    /// How much the stream holds.
    pub limits: StreamLimits,
    /// How many messages are published in a second at most, so that whoever reads the stream is not
    /// overrun after an outage; as many as the broker takes if there is none.
    pub max_messages_per_second: Option<NonZeroU32>,
    /// How often, and when, an event that cannot be published is tried again.
    pub retries: Retries,
    /// How many events may be held, failed or behind a failed one of their stream. At the limit
    /// publishing stops, loudly: then it is not the events that are broken.
    pub held_limit: u32,
}

impl PublisherConfig {
    /// On `broker` in `namespace`, with one replica, as fast as the broker takes it.
    #[must_use]
    pub fn new(broker: Broker, namespace: Namespace) -> Self {
        Self {
            broker,
            namespace,
            replicas: NonZeroUsize::MIN,
            limits: StreamLimits::NONE,
            max_messages_per_second: None,
            retries: Retries::default(),
            held_limit: 10_000,
        }
    }
}

/// The publisher of one log. Any number may run, in any number of processes; one leads.
pub struct Publisher {
    store: EventStore,
    wakeup: Wakeup,
    config: PublisherConfig,
    render: Arc<dyn Render>,
    reporter: Reporter,
}

impl Publisher {
    /// Publishes the outbox of `store` as `render` tells it; `wakeup` says when there is more.
    #[must_use]
    pub fn new(
        store: EventStore,
        wakeup: Wakeup,
        config: PublisherConfig,
        render: impl Render,
    ) -> Self {
        let reporter = Reporter::new(config.namespace.stream_name());
        Self { store, wakeup, config, render: Arc::new(render), reporter }
    }

    /// What it is doing, now and later.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<RelayState> {
        self.reporter.subscribe()
    }

    /// Publishes until `stop`; no failure ends it.
    ///
    /// When stopped it waits a few seconds for what is in flight, moves the cursor and gives the
    /// lease up, so that another publisher goes on at once. Dropping the future is safe at any
    /// point; the lease then ends by itself.
    #[tracing::instrument(name = "relay.publish", skip_all, fields(stream.name = %self.config.namespace.stream_name()))]
    pub async fn run(mut self, stop: CancellationToken) {
        let candidacy =
            Candidacy::new(self.store.pool().clone(), cursor_name(&self.config.namespace));
        while let Some(lease) = stop.run_until_cancelled(candidacy.win(&mut self.reporter)).await {
            self.lead(lease, &stop).await;
        }
        self.reporter.report(RelayStatus::Standby);
    }

    /// Publishes as long as the lease is ours.
    async fn lead(&mut self, mut lease: Lease, stop: &CancellationToken) {
        self.reporter.lead(lease.epoch(), lease.position());
        let mut backoff = Backoff::default();
        let mut known = OutboxPlace::after(Position::START);
        loop {
            let mut publishing = Publishing {
                store: &self.store,
                wakeup: &mut self.wakeup,
                config: &self.config,
                render: &*self.render,
                reporter: &mut self.reporter,
                backoff: &mut backoff,
                stop,
                known: &mut known,
            };
            match publishing.run(&mut lease).await {
                Ok(()) => break,
                Err(Trouble::Fenced) => {
                    tracing::info!(relay.epoch = lease.epoch(), "another publisher leads now");
                    break;
                }
                Err(trouble) => self.reporter.report(trouble.into_status()),
            }
            let wait = tokio::time::sleep(backoff.next());
            match stop.run_until_cancelled(lease.hold(wait)).await {
                Some(Ok(())) => {}
                Some(Err(_)) | None => break,
            }
        }
        lease.release().await;
        self.reporter.report(RelayStatus::Standby);
    }
}

/// The cursor that a publisher of `namespace` leases.
pub(crate) fn cursor_name(namespace: &Namespace) -> String {
    format!("relay:{}", namespace.stream_name())
}
