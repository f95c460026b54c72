//! One message, from delivery to effect: tried again in place until it takes effect.

use async_nats::jetstream::{AckKind, Message};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::CancellationToken;

use super::inbox::{Effect, take_effect};
use super::session::Session;
use super::{Consumer, ConsumerStatus, Handler, HandlerError};
use crate::backoff::Backoff;
use crate::broker::chain;
use crate::{IncomingMessage, MalformedMessage};

/// How often a conflict is retried at once before it counts as a failure.
const CONFLICTS: u32 = 10;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// It has taken effect, or is no more.
    Done,
    /// It has not, and the consumer was stopped.
    Stopped,
}

/// Why one attempt failed.
enum Failure {
    Malformed(MalformedMessage),
    Handler(HandlerError),
}

impl<H: Handler> Consumer<H> {
    /// Tries `message` until it has taken effect, telling the broker that it is worked on.
    pub(super) async fn settle(
        &self,
        session: &Session,
        message: &Message,
        stop: &CancellationToken,
    ) -> Settled {
        let every = self.config.ack_wait / 3;
        let mut progress = interval_at(Instant::now() + every, every);
        progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut work = std::pin::pin!(self.try_until_done(session, message, stop));
        loop {
            tokio::select! {
                biased;
                settled = &mut work => return settled,
                _ = progress.tick() => {
                    // Lost with its connection: the message may be delivered again, which is harmless.
                    if let Err(error) = message.ack_with(AckKind::Progress).await {
                        tracing::debug!(error = %error, lost = session.connection.lost.is_cancelled(), "no progress told");
                    }
                }
            }
        }
    }

    async fn try_until_done(
        &self,
        session: &Session,
        message: &Message,
        stop: &CancellationToken,
    ) -> Settled {
        let mut backoff = Backoff::default();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let parsed = IncomingMessage::parse(&self.config.namespace, message);
            let message_id = parsed.as_ref().ok().map(|message| message.id);
            let failure = match self.attempt(parsed).await {
                Ok(()) => break,
                Err(failure) => failure,
            };
            let at_once =
                matches!(failure, Failure::Handler(HandlerError::Conflict)) && attempts < CONFLICTS;
            if at_once && !stop.is_cancelled() {
                continue;
            }
            // What this contract cannot read can only be removed, by whoever put it there.
            if matches!(failure, Failure::Malformed(_)) && session.was_removed(message).await {
                tracing::info!(subject = %message.subject, "a message that could not be read was removed");
                break;
            }
            self.reporter.report(ConsumerStatus::Retrying {
                sequence: message.info().map_or(0, |info| info.stream_sequence),
                message_id,
                attempts,
                error: match failure {
                    Failure::Malformed(error) => chain(&error),
                    Failure::Handler(error) => chain(&error),
                },
            });
            if stop.run_until_cancelled(sleep(backoff.next())).await.is_none() {
                return Settled::Stopped;
            }
        }
        self.reporter.report(ConsumerStatus::Consuming);
        Settled::Done
    }

    async fn attempt(
        &self,
        parsed: Result<IncomingMessage, MalformedMessage>,
    ) -> Result<(), Failure> {
        let message = parsed.map_err(Failure::Malformed)?;
        let effect: Effect = take_effect(&self.pool, &self.config.name, &self.handler, &message)
            .await
            .map_err(Failure::Handler)?;
        self.reporter.done(&message, effect);
        Ok(())
    }
}
