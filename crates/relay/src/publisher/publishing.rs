//! One session of publishing: resume, then page after page until something interrupts it.

use std::collections::VecDeque;
use std::time::Duration;

use eventstore::{EventStore, Filter, OutboxPlace, PageLimit, Position, Wakeup};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::PublisherConfig;
use super::lease::Lease;
use super::resume::resume;
use super::retention::Retention;
use super::session::{PublishFailure, Published, Session, WINDOW};
use super::source::{Batch, Source};
use super::status::{RelayStatus, Reporter};
use super::trouble::Trouble;
use crate::Render;
use crate::backoff::Backoff;
use crate::broker::chain;
use crate::cloud_event::OutgoingError;

/// Most that is read at once.
const PAGE: PageLimit = PageLimit { events: 512, bytes: 4 * 1024 * 1024 };
const _: () = assert!(PAGE.events as usize <= WINDOW, "a page is published at once");

/// How often an idle publisher looks whether the stream is still where it left it.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// How long what is in flight is waited for after a stop.
const STOP_LIMIT: Duration = Duration::from_secs(5);

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
        let place = self.resume(lease, &session).await?;
        self.publish_all(lease, &mut session, place).await
    }

    /// Brings the cursor to where the stream says; answers with the place to go on behind.
    async fn resume(
        &mut self,
        lease: &mut Lease,
        session: &Session,
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
        session: &Session,
        from: OutboxPlace,
        last: Published,
    ) -> Result<(), Trouble> {
        let mut ids = VecDeque::new();
        let mut after = from;
        while after < last.place {
            let Batch { messages, reached, stopped } = self.source().next(after, PAGE).await?;
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

    async fn publish_all(
        &mut self,
        lease: &mut Lease,
        session: &mut Session,
        mut place: OutboxPlace,
    ) -> Result<(), Trouble> {
        let mut checked = Instant::now();
        let mut retention = Retention::new();
        let mut batch = self.source().next(place, PAGE).await?;
        loop {
            if self.stop.is_cancelled() {
                return Ok(());
            }
            if retention.is_due() {
                retention.retire(self.store, lease).await;
            }
            let Batch { messages, reached: last, stopped } = &batch;
            if let Some(error) = stopped.as_ref().filter(|_| messages.is_empty()) {
                return Err(unpublishable(error));
            }
            let last = *last;
            if last == place {
                self.backoff.reset();
                self.reporter.report(RelayStatus::Publishing);
                lease.hold(self.wait(session)).await??;
                if checked.elapsed() > CHECK_EVERY {
                    lease.hold(session.check()).await??;
                    checked = Instant::now();
                }
                batch = self.source().next(place, PAGE).await?;
                continue;
            }
            let source = self.source();
            let work = async {
                tokio::join!(session.publish(messages, *self.known), source.next(last, PAGE))
            };
            let Some((published, next)) = lease.hold(self.unless_stopped(work)).await? else {
                return Ok(());
            };
            match published {
                Ok(()) => {}
                Err(PublishFailure::Trouble(trouble)) => return Err(trouble),
                Err(PublishFailure::Known { place, sequence }) => {
                    *self.known = place;
                    self.backoff.reset();
                    return Err(Trouble::Doubt(format!(
                        "the broker knows position {}, once stored at sequence {sequence}, \
                         but does not hold it: publishing it again without its id",
                        place.position()
                    )));
                }
            }
            lease.advance(last.completed()).await?;
            place = last;
            self.backoff.reset();
            let count = u64::try_from(messages.len()).unwrap_or(u64::MAX);
            self.reporter.published(count, last.completed());
            self.reporter.report(RelayStatus::Publishing);
            batch = next?;
        }
    }

    fn source(&self) -> Source<'_> {
        let (store, namespace, render) = (self.store, &self.config.namespace, self.render);
        Source { store, namespace, render }
    }

    /// Waits until there may be more, looking after the stream meanwhile.
    async fn wait(&mut self, session: &Session) -> Result<(), Trouble> {
        tokio::select! {
            () = self.stop.cancelled() => Ok(()),
            lost = session.lost() => Err(lost),
            () = self.wakeup.wait() => Ok(()),
        }
    }

    /// Does `work`; after a stop only for [`STOP_LIMIT`] longer, and `None` if that was too short.
    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let too_long = async {
            self.stop.cancelled().await;
            sleep(STOP_LIMIT).await;
        };
        tokio::select! {
            biased;
            done = work => Some(done),
            () = too_long => None,
        }
    }
}

fn unpublishable(error: &OutgoingError) -> Trouble {
    Trouble::Refused(chain(error))
}
