//! Gives each message of the stream to a handler, in the order of its key, with one effect (law 6).
//!
//! The handler works in the transaction that marks its messages: marks and effects commit
//! together, and a message whose mark is there is acknowledged and otherwise ignored. The broker
//! is told only after the commit. So every message may arrive any number of times, at any number
//! of copies of the consumer, and takes effect once.
//!
//! Messages flow from the session (one connection, [`session`]) through lanes ([`lane`]), which
//! work side by side on keys of their own, in batches of whatever waits. What fails is held
//! aside with all that follows of its key ([`crate::dead_letters`]), and other keys flow: nothing
//! is skipped (law 8). Why order holds whatever crashes and however many copies run: [`marks`].
//!
//! Add one: implement [`Handler`], and run a [`Consumer`] of it under a name of its own.

mod config;
mod delivery;
mod flow;
mod handler;
mod in_hand;
mod lane;
mod marks;
mod ownership;
mod redrive;
mod session;
mod span;
mod status;
mod suspects;
mod worker;

use std::sync::Arc;

use sqlx::PgPool;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::Broker;
use crate::backoff::Backoff;
pub use config::{ConsumerConfig, Marks, Retries, SLOTS, Start};
pub(crate) use delivery::Delivery;
use flow::Before;
pub(crate) use handler::Nature;
pub use handler::{Handler, HandlerError};
use marks::Marker;
use ownership::Ownership;
use session::Session;
pub(crate) use session::catch_up_name;
use status::Reporter;
pub use status::{ConsumerState, ConsumerStatus};
use worker::Worker;

/// A consumer of the stream. Any number of copies may run under one name; one works.
pub struct Consumer<H> {
    broker: Broker,
    worker: Arc<Worker<H>>,
}

impl<H: Handler> Consumer<H> {
    /// Hands the messages that `config` names to `handler`; `pool` leads to the inbox and to what
    /// the handler writes, and needs a connection for each of [`ConsumerConfig::parallel`] and two
    /// more.
    #[must_use]
    pub fn new(pool: PgPool, broker: Broker, config: ConsumerConfig, handler: H) -> Self {
        let reporter = Reporter::new(config.name.clone());
        let marker = Marker::new(config.name.clone(), config.marks);
        let held = Notify::new();
        let worker = Worker { pool, config, handler, marker, reporter, held };
        Self { broker, worker: Arc::new(worker) }
    }

    /// What it is doing, now and later.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<ConsumerState> {
        self.worker.reporter.subscribe()
    }

    /// Consumes until `stop`; no failure ends it.
    ///
    /// When stopped it finishes what was delivered, for a few seconds, and gives the lease up, so
    /// that another copy goes on at once. Dropping the future is safe at any point; another copy
    /// then goes on when the lease has ended.
    #[tracing::instrument(name = "relay.consume", skip_all, fields(consumer.name = %self.worker.config.name))]
    pub async fn run(self, stop: CancellationToken) {
        let worker = &self.worker;
        let mut before = Before::Unknown;
        loop {
            let won = Ownership::win(&worker.pool, &worker.config.name, &worker.reporter);
            let Some(mut ownership) = stop.run_until_cancelled(won).await else { break };
            let work = async {
                tokio::select! {
                    () = Box::pin(self.work(&mut before, &stop)) => {}
                    () = Box::pin(redrive::redrive(Arc::clone(worker))) => {}
                }
            };
            let held = ownership.hold(work).await;
            if held.is_err() {
                tracing::warn!(consumer.name = %worker.config.name, "another copy works now");
                before = Before::Unknown;
            }
            ownership.release().await;
            if stop.is_cancelled() {
                break;
            }
        }
        worker.reporter.report(ConsumerStatus::Stopped);
    }

    /// Works as long as the lease is ours, session after session, until it is stopped.
    async fn work(&self, before: &mut Before, stop: &CancellationToken) {
        let worker = &self.worker;
        let mut backoff = Backoff::default();
        while !stop.is_cancelled() {
            let opened = stop
                .run_until_cancelled(Box::pin(Session::open(&self.broker, &worker.config)))
                .await;
            let ended = match opened {
                None => break,
                Some(Err(interrupted)) => Err(interrupted),
                Some(Ok(session)) => {
                    Box::pin(worker.consume(&session, before, &mut backoff, stop)).await
                }
            };
            if let Err(interrupted) = ended {
                worker.reporter.report(ConsumerStatus::Connecting { error: interrupted.0 });
                stop.run_until_cancelled(tokio::time::sleep(backoff.next())).await;
            }
        }
    }
}
