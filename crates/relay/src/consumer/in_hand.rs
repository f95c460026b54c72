//! What the broker has given us and not yet heard of: it is told that somebody works on it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::Client;
use async_nats::jetstream::AckKind;
use async_nats::subject::Subject;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use super::delivery::Reply;

/// Replies of messages that are not settled, by number of the delivery.
#[derive(Debug, Default)]
pub(super) struct InHand(Mutex<BTreeMap<u64, (Subject, Instant)>>);

impl InHand {
    pub(super) fn take(&self, reply: &Reply) {
        self.lock().insert(reply.number, (reply.subject.clone(), Instant::now()));
    }

    pub(super) fn settle(&self, replies: &[Reply]) {
        let mut in_hand = self.lock();
        for reply in replies {
            in_hand.remove(&reply.number);
        }
    }

    /// Tells the broker of everything that takes longer than a third of `ack_wait`, until it is
    /// dropped.
    pub(super) async fn tell(&self, client: &Client, ack_wait: Duration) {
        let every = ack_wait / 3;
        let mut ticks = interval_at(Instant::now() + every, every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let long: Vec<Subject> = {
                let in_hand = self.lock();
                let long = in_hand.values().filter(|(_, since)| since.elapsed() * 2 >= every);
                long.map(|(subject, _)| subject.clone()).collect()
            };
            for subject in long {
                // Lost with its connection: the message is delivered again, which is harmless.
                if let Err(error) = client.publish(subject, AckKind::Progress.into()).await {
                    tracing::debug!(error = %error, "no progress told");
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, (Subject, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
