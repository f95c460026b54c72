//! From the session to the lanes, and back when it ends.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::Info;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::delivery::{Delivery, Reply, Unsettled};
use super::in_hand::InHand;
use super::lane::Lane;
use super::session::{Interrupted, Session, info_of};
use super::worker::Worker;
use super::{ConsumerStatus, Handler, suspects};
use crate::IncomingMessage;
use crate::backoff::Backoff;

/// How long what was delivered may take to be settled after a stop.
const DRAIN: Duration = Duration::from_secs(4);

/// Whether a process has ended since somebody last worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// This process has not worked yet: whoever did may have ended in the middle of it.
    Unknown,
    /// This process, and it has not ended.
    Here,
}

/// The lanes, by number.
struct Lanes(Vec<mpsc::Sender<Delivery>>);

impl Lanes {
    async fn send(&self, delivery: Delivery) -> Result<(), Interrupted> {
        let lane = usize::from(delivery.slot()) % self.0.len().max(1);
        let sent = match self.0.get(lane) {
            Some(lane) => lane.send(delivery).await.is_ok(),
            None => false,
        };
        if sent { Ok(()) } else { Err(Interrupted("a lane has ended".to_owned())) }
    }
}

impl<H: Handler> Worker<H> {
    /// Consumes until it is stopped, which is `Ok`, or interrupted.
    pub(super) async fn consume(
        self: &Arc<Self>,
        session: &Session,
        before: &mut Before,
        backoff: &mut Backoff,
        stop: &CancellationToken,
    ) -> Result<(), Interrupted> {
        let in_hand = InHand::default();
        let (settled, unacknowledged) = mpsc::unbounded_channel();
        let mut running = JoinSet::new();
        let mut lanes = Vec::new();
        for _ in 0..self.config.parallel.get() {
            let (sender, deliveries) = mpsc::channel(self.config.in_flight.get().into());
            let lane =
                Lane { worker: Arc::clone(self), settled: settled.clone(), stop: stop.clone() };
            running.spawn(lane.run(deliveries));
            lanes.push(sender);
        }
        drop(settled);
        let read = self.read(session, Lanes(lanes), &in_hand, before, backoff, stop);
        let acknowledger = session.acknowledger();
        // When the lanes have ended, nothing more can be settled.
        let ended = async {
            acknowledger.run(unacknowledged, &in_hand).await?;
            while let Some(ended) = running.join_next().await {
                ended.map_err(|error| Interrupted(format!("a lane failed: {error}")))?;
            }
            Ok(())
        };
        let tell = in_hand.tell(&session.connection.client, self.config.ack_wait);
        let work = async {
            tokio::pin!(ended);
            tokio::select! {
                biased;
                () = session.connection.lost.cancelled() => {
                    return Err(Interrupted("lost the connection to the broker".to_owned()));
                }
                // Before the reading only if the broker cannot be told, or all lanes have ended.
                ended = &mut ended => return ended,
                read = read => read?,
            }
            if let Ok(ended) = timeout(DRAIN, ended).await {
                return ended;
            }
            tracing::warn!(consumer.name = %self.config.name, "some messages did not take effect in time and come again");
            Ok(())
        };
        tokio::select! {
            worked = work => worked,
            () = tell => Ok(()),
        }
    }

    /// Reads until it is stopped, which is `Ok`, or interrupted.
    async fn read(
        &self,
        session: &Session,
        lanes: Lanes,
        in_hand: &InHand,
        before: &mut Before,
        backoff: &mut Backoff,
        stop: &CancellationToken,
    ) -> Result<(), Interrupted> {
        let info = session.info().await?;
        let mut expected = info.delivered.consumer_sequence + 1;
        let (unsettled, settled) = Unsettled::new();
        if info.num_ack_pending > 0 {
            let caught_up = Box::pin(self.catch_up(session, &info, &lanes, *before, &unsettled));
            match stop.run_until_cancelled(caught_up).await {
                Some(caught_up) => caught_up?,
                None => return Ok(()),
            }
        }
        drop(unsettled);
        *before = Before::Here;
        let forget = self.forget_suspects(settled);
        tokio::pin!(forget);
        let mut is_forgotten = false;
        self.reporter.report(ConsumerStatus::Consuming);
        let mut messages = session.pull(&self.config).await?;
        loop {
            let message = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = &mut forget, if !is_forgotten => {
                    is_forgotten = true;
                    continue;
                }
                message = messages.next() => message,
            };
            let message = message
                .ok_or_else(|| Interrupted("the broker sends no more messages".to_owned()))?
                .map_err(|error| Interrupted(format!("pull: {error}")))?;
            let told = info_of(&message)?;
            if told.number != expected {
                return Err(Interrupted(format!(
                    "delivery {} came, not {expected}: another copy got what is missing",
                    told.number
                )));
            }
            expected += 1;
            let reply = message.reply.clone().map(|subject| Reply { subject, number: told.number });
            if let Some(reply) = &reply {
                in_hand.take(reply);
            }
            lanes.send(self.read_delivery(session, message, reply)?).await?;
            backoff.reset();
        }
    }

    /// Hands what was given out earlier to the lanes.
    async fn catch_up(
        &self,
        session: &Session,
        info: &Info,
        lanes: &Lanes,
        before: Before,
        unsettled: &Unsettled,
    ) -> Result<(), Interrupted> {
        let mut given_out = session.given_out(info).await?;
        loop {
            let messages = given_out.next().await?;
            if messages.is_empty() {
                return Ok(());
            }
            let read = |message| self.read_delivery(session, message, None);
            let mut deliveries = messages.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
            if before == Before::Unknown {
                let noted = suspects::note(self, deliveries).await;
                deliveries = noted.map_err(|failure| Interrupted(failure.into_text()))?;
            }
            for delivery in deliveries {
                let unsettled = Some(unsettled.clone());
                lanes.send(Delivery { unsettled, ..delivery }).await?;
            }
        }
    }

    fn read_delivery(
        &self,
        session: &Session,
        message: Message,
        reply: Option<Reply>,
    ) -> Result<Delivery, Interrupted> {
        let key_of = |message: &IncomingMessage| self.handler.key(message).to_owned();
        session.read(&self.config.namespace, message, reply, key_of)
    }

    /// Waits until everything that was given out earlier is settled.
    async fn forget_suspects(&self, mut settled: mpsc::Receiver<()>) {
        let _ = settled.recv().await;
        if let Err(error) = suspects::forget(&self.pool, &self.config.name).await {
            tracing::debug!(%error, "notes of earlier messages are still there");
        }
    }
}
