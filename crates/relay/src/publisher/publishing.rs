//! One session of publishing: resume, then go on until something interrupts it.

use std::collections::VecDeque;

use eventstore::{EventStore, Filter, Outbound, OutboxPlace, Position, Wakeup};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::PublisherConfig;
use super::cursor_name;
use super::lease::Lease;
use super::letters::Letters;
use super::pace::Pace;
use super::pipeline::Pipeline;
use super::ready::Ready;
use super::resume::resume;
use super::session::{Published, Session, WINDOW};
use super::source::{PAGE, Source};
use super::status::Reporter;
use super::trouble::Trouble;
use super::withheld::Withheld;
use crate::Render;
use crate::backoff::Backoff;
use crate::broker::chain;

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
        let pool = self.store.pool().clone();
        let letters = Letters::new(pool, cursor_name(&self.config.namespace), lease.epoch());
        let place = Box::pin(self.resume(lease, &mut session, &letters)).await?;
        let withheld = lease.hold(Withheld::load(letters, self.config.held_limit)).await??;
        let source = self.source(&withheld);
        let (cursor, moves) = watch::channel(lease.position());
        let store = self.store;
        let pipeline = Pipeline {
            source,
            session: &mut session,
            pace: Pace::new(self.config.max_messages_per_second),
            ready: Ready::new(place),
            cursor,
            wakeup: self.wakeup,
            reporter: self.reporter,
            backoff: self.backoff,
            known: self.known,
        };
        let published = lease.follow(moves, store, pipeline.run(self.stop)).await?;
        let Err(Trouble::TooLarge { place, error }) = published else { return published };
        // The next session finds it held, with what follows of its key, and goes on behind it.
        lease.hold(Box::pin(source.hold(place, error.clone()))).await??;
        self.backoff.reset();
        Err(Trouble::Doubt(error))
    }

    /// Brings the cursor to where the stream says; answers with the place to go on behind.
    async fn resume(
        &mut self,
        lease: &mut Lease,
        session: &mut Session,
        letters: &Letters,
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
                lease.hold(self.verify_run(session, letters, from, published)).await??;
            }
        }
        lease.hold(settle(session, letters, place)).await??;
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
    /// of it that is not held. What was on its way at once fits a window, so no more than that is
    /// looked at.
    async fn verify_run(
        &self,
        session: &mut Session,
        letters: &Letters,
        from: OutboxPlace,
        last: Published,
    ) -> Result<(), Trouble> {
        let held = letters.ids(from).await?;
        let mut ids = VecDeque::new();
        let mut after = from;
        while after < last.reached {
            let page = self.store.read_outbound(after, PAGE).await?;
            for item in page.items.iter().filter(|item| item.place() <= last.reached) {
                let id = match item {
                    Outbound::Event { event, .. } => event.id.get(),
                    Outbound::Message(message) => message.id,
                };
                if !held.contains(&id) && self.is_public(item)? {
                    ids.push_back(id);
                }
            }
            ids.drain(..ids.len().saturating_sub(WINDOW));
            if page.reached == after {
                break;
            }
            after = page.reached;
        }
        let (log, run) = (self.store.log_id(), ids.make_contiguous());
        let Some(stranger) = session.first_stranger(log, last.sequence, run).await? else {
            return Ok(());
        };
        let end = session.last_sequence();
        Err(Trouble::Refused(format!(
            "message {stranger} of the stream is not the one that belongs there: somebody else wrote \
             between ours; find and stop them, and delete messages {stranger} to {end} of the stream"
        )))
    }

    /// Whether the public was told of `item`: the outbox says so, or else the contract.
    fn is_public(&self, item: &Outbound) -> Result<bool, Trouble> {
        let Outbound::Event { subject: None, event } = item else { return Ok(true) };
        let rendered = self.render.render(event).map_err(|error| {
            let (position, error) = (event.position, chain(&error));
            Trouble::Refused(format!(
                "nobody can say whether the event at position {position} is in the stream: {error}"
            ))
        })?;
        Ok(rendered.is_some())
    }

    fn source<'a>(&self, withheld: &'a Withheld) -> Source<'a>
    where
        Self: 'a,
    {
        let Self { store, config, render, .. } = self;
        Source {
            store,
            namespace: &config.namespace,
            render: *render,
            retries: config.retries,
            withheld,
        }
    }
}

/// Takes over what the stream says of what was held, before anything is read behind `resumed`.
async fn settle(
    session: &mut Session,
    letters: &Letters,
    resumed: OutboxPlace,
) -> Result<(), Trouble> {
    let mut arrived = Vec::new();
    for letter in letters.unsure().await? {
        if session.holds(letter.sequence, letter.message_id).await? {
            arrived.push(letter.id);
        }
    }
    letters.settle(&arrived, session.last_sequence(), resumed).await
}
