//! One session of publishing: resume, then go on until something interrupts it.

use std::collections::VecDeque;

use eventstore::{EventStore, Filter, OutboxPlace, Position, Wakeup};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::PublisherConfig;
use super::lease::Lease;
use super::pace::Pace;
use super::pipeline::Pipeline;
use super::ready::Ready;
use super::resume::resume;
use super::session::{Published, Session, WINDOW};
use super::source::{Batch, Source, unpublishable};
use super::status::Reporter;
use super::trouble::Trouble;
use crate::Render;
use crate::backoff::Backoff;

/// One session's worth of publishing.
pub(super) struct Publishing<'a> {
    pub(super) store: &'a EventStore,
    pub(super) wakeup: &'a mut Wakeup,
    pub(super) config: &'a PublisherConfig,
    pub(super) render: &'a dyn Render,
    pub(super) reporter: &'a mut Reporter,
    pub(super) backoff: &'a mut Backoff,
    pub(super) stop: &'a CancellationToken,
    /// Messages up to here are sent without `Nats-Msg-Id`, because the broker remembers ids of
    /// messages that were removed from the stream.
    pub(super) known: &'a mut OutboxPlace,
}

impl Publishing<'_> {
    /// Publishes until it is stopped, which is `Ok`, or interrupted.
    pub(super) async fn run(&mut self, lease: &mut Lease) -> Result<(), Trouble> {
        let opened = lease.hold(Box::pin(Session::open(self.config)));
        let Some(opened) = self.stop.run_until_cancelled(opened).await else { return Ok(()) };
        let mut session = opened??;
        let place = self.resume(lease, &mut session).await?;
        let (cursor, moves) = watch::channel(lease.position());
        let store = self.store;
        let pipeline = Pipeline {
            source: Source { store, namespace: &self.config.namespace, render: self.render },
            session: &mut session,
            pace: Pace::new(self.config.max_messages_per_second),
            ready: Ready::new(place),
            cursor,
            wakeup: self.wakeup,
            reporter: self.reporter,
            backoff: self.backoff,
            known: self.known,
        };
        lease.follow(moves, store, pipeline.run(self.stop)).await?
    }

    /// Brings the cursor to where the stream says; answers with the place to go on behind.
    async fn resume(
        &mut self,
        lease: &mut Lease,
        session: &mut Session,
    ) -> Result<OutboxPlace, Trouble> {
        let (tail, published) = lease.hold(session.tail(self.store.log_id())).await??;
        let from = OutboxPlace::after(lease.position());
        let mut place = resume(from, tail);
        if let Some(published) = published {
            self.verify(published).await?;
            if !place.is_complete() && !self.store.has_more_at(place).await? {
                place = OutboxPlace::after(place.position());
            }
            if place > from {
                lease.hold(self.verify_run(session, from, published)).await??;
            }
        }
        let (from, to) = (lease.position(), place.completed());
        if to < from {
            tracing::warn!(%from, %to, "the stream is behind the cursor: publishing again from the log");
        } else if to > from {
            tracing::info!(%from, %to, "the stream is ahead of the cursor: acknowledgements were lost");
        }
        if to != from {
            lease.advance(to).await?;
        }
        self.reporter.resumed(to);
        Ok(place)
    }

    /// A message of this log that this log does not hold: the database lost commits that the
    /// public was told of, and no publisher can repair that.
    async fn verify(&self, published: Published) -> Result<(), Trouble> {
        let Published { id, place, .. } = published;
        let position = place.position();
        let before = Position::new(position.get() - 1);
        let events = self.store.read_page(&Filter::everything(), before, position, 1).await?.events;
        let is_held = match (events.first(), place.ordinal()) {
            (None, _) => false,
            (Some(event), 0) => event.id.get() == id,
            // The log does not hold the messages themselves, and the outbox not for ever.
            (Some(_), _) => self.store.may_hold_message(place, id).await?,
        };
        if is_held {
            return Ok(());
        }
        let what = if place.ordinal() == 0 { "event" } else { "message" };
        Err(Trouble::Refused(format!(
            "the stream holds {what} {id} at position {position}, the log does not: \
             the database was restored to before it was written"
        )))
    }

    /// Before the cursor passes over what it did not see acknowledged: that the stream holds all
    /// of it. What was on its way at once fits a window, so no more than that is looked at.
    async fn verify_run(
        &self,
        session: &mut Session,
        from: OutboxPlace,
        last: Published,
    ) -> Result<(), Trouble> {
        let mut ids = VecDeque::new();
        let mut after = from;
        while after < last.place {
            let Batch { messages, reached, stopped } = self.source().next(after).await?;
            let run = messages.iter().filter(|message| message.place <= last.place);
            ids.extend(run.map(|message| message.id));
            ids.drain(..ids.len().saturating_sub(WINDOW));
            if let Some(error) = stopped.filter(|_| reached < last.place) {
                return Err(unpublishable(&error));
            }
            if reached == after {
                break;
            }
            after = reached;
        }
        let Some(stranger) = session.first_stranger(last.sequence, ids.make_contiguous()).await?
        else {
            return Ok(());
        };
        let end = session.last_sequence();
        Err(Trouble::Refused(format!(
            "message {stranger} of the stream is not the one that belongs there: somebody else wrote \
             between ours; find and stop them, and delete messages {stranger} to {end} of the stream"
        )))
    }

    fn source(&self) -> Source<'_> {
        let (store, namespace, render) = (self.store, &self.config.namespace, self.render);
        Source { store, namespace, render }
    }
}
