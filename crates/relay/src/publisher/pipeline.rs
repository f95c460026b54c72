//! From the database to the broker without a pause: while messages are on their way the next ones are
//! read and made, and each one that is confirmed makes room for another.

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use eventstore::{OutboxPlace, Position, Wakeup};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::pace::Pace;
use super::ready::Ready;
use super::session::{PublishFailure, Session};
use super::source::{Batch, Source};
use super::status::{RelayStatus, Reporter};
use super::trouble::Trouble;
use crate::backoff::Backoff;

/// How often an idle publisher looks whether the stream is still where it left it.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// How often it is looked whether something that is held is due.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long what is in flight is waited for after a stop.
const STOP_LIMIT: Duration = Duration::from_secs(5);

type Reading<'a> = Pin<Box<dyn Future<Output = Result<Batch, Trouble>> + Send + 'a>>;

/// One session's pipeline.
pub(super) struct Pipeline<'a> {
    pub(super) source: Source<'a>,
    pub(super) session: &'a mut Session,
    pub(super) pace: Pace,
    pub(super) ready: Ready,
    /// Where the cursor may go.
    pub(super) cursor: watch::Sender<Position>,
    pub(super) wakeup: &'a mut Wakeup,
    pub(super) reporter: &'a mut Reporter,
    pub(super) backoff: &'a mut Backoff,
    pub(super) known: &'a mut OutboxPlace,
}

impl<'a> Pipeline<'a> {
    /// Publishes until it is stopped, which is `Ok`, or interrupted. Then it forgets what is not
    /// confirmed: whoever goes on asks the stream.
    pub(super) async fn run(mut self, stop: &CancellationToken) -> Result<(), Trouble> {
        let mut reading: Option<Reading<'a>> = None;
        let mut checked = Instant::now();
        let mut look_at = Instant::now();
        let mut is_redriving = false;
        let mut stop_limit = None;
        loop {
            let is_stopping = stop_limit.is_some();
            let is_any_held = !is_stopping && self.source.withheld.is_any();
            // Not while something is read: that may hold more.
            let mut is_looking = is_any_held && !is_redriving && Instant::now() >= look_at;
            if is_looking && reading.is_none() {
                is_looking = false;
                let letters = self.source.withheld.letters();
                is_redriving = letters.are_due(self.ready.confirmed()).await?;
                look_at = Instant::now() + LOOK_EVERY;
            }
            let pause = if is_stopping || is_redriving { None } else { self.send().await? };
            if self.session.is_idle() {
                if is_stopping {
                    return Ok(());
                }
                if is_redriving && reading.is_none() {
                    is_redriving = false;
                    if self.redrive().await? {
                        look_at = Instant::now();
                    }
                    continue;
                }
                if !self.ready.is_waiting()
                    && let Some(trouble) = self.ready.stopped()
                {
                    return Err(trouble);
                }
                if self.ready.is_at_end() {
                    self.backoff.reset();
                    self.reporter.report(RelayStatus::Publishing);
                    if checked.elapsed() > CHECK_EVERY {
                        self.session.check().await?;
                        checked = Instant::now();
                    }
                }
            }
            let is_reading_on = !is_stopping && !is_redriving && !is_looking;
            if let (None, true, Some(after)) = (&reading, is_reading_on, self.ready.wants()) {
                reading = Some(Box::pin(self.source.next(after)));
            }
            let lost = self.session.lost();
            tokio::select! {
                biased;
                () = lost.cancelled() => return Err(Session::connection_lost()),
                confirmed = self.session.confirmed(), if !self.session.is_idle() => {
                    self.confirm(confirmed)?;
                }
                batch = read(&mut reading), if reading.is_some() => {
                    reading = None;
                    self.ready.take(batch?);
                    self.move_cursor();
                }
                () = stop.cancelled(), if !is_stopping => {
                    stop_limit = Some(Instant::now() + STOP_LIMIT);
                }
                () = until(stop_limit), if is_stopping => return Ok(()),
                () = until(pause), if pause.is_some() => {}
                () = sleep_until(look_at), if is_any_held && !is_looking && !is_redriving => {}
                () = self.wakeup.wait(), if self.ready.is_at_end() => self.ready.look_again(),
            }
        }
    }

    /// Sends what there is room for; answers with when there is more if only the pace is in the way.
    async fn send(&mut self) -> Result<Option<Instant>, Trouble> {
        let lost = self.session.lost();
        while self.ready.is_waiting() && self.session.has_room() {
            if !self.pace.allows(Instant::now()) {
                return Ok(self.pace.next());
            }
            let Some(message) = self.ready.next() else { break };
            let sent = tokio::select! {
                biased;
                () = lost.cancelled() => return Err(Session::connection_lost()),
                sent = self.session.send(message, *self.known) => sent,
            };
            if let Err(trouble) = sent {
                self.ready.stop(trouble);
            }
        }
        Ok(None)
    }

    fn confirm(&mut self, confirmed: Result<usize, PublishFailure>) -> Result<(), Trouble> {
        let messages = match confirmed {
            Ok(messages) => messages,
            Err(PublishFailure::Trouble(trouble)) => return Err(trouble),
            Err(PublishFailure::Known { place, sequence }) => {
                return Err(self.known(place, sequence));
            }
        };
        self.ready.confirm(messages);
        self.backoff.reset();
        let count = u64::try_from(messages).unwrap_or(u64::MAX);
        self.reporter.published(count, self.ready.confirmed().completed());
        self.reporter.report(RelayStatus::Publishing);
        self.move_cursor();
        Ok(())
    }

    /// The broker remembers the id of what stands at `place`: it is sent without, once asked again.
    pub(super) fn known(&mut self, place: OutboxPlace, sequence: u64) -> Trouble {
        *self.known = place.max(*self.known);
        self.backoff.reset();
        Trouble::Doubt(format!(
            "the broker knows position {}, once stored at sequence {sequence}, \
             but does not hold it: publishing it again without its id",
            place.position()
        ))
    }

    /// Lets the cursor follow what is confirmed.
    fn move_cursor(&self) {
        let to = self.ready.confirmed().completed();
        self.cursor.send_if_modified(|at| {
            let is_other = *at != to;
            *at = to;
            is_other
        });
    }
}

async fn read(reading: &mut Option<Reading<'_>>) -> Result<Batch, Trouble> {
    match reading {
        Some(reading) => reading.await,
        None => pending().await,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}
