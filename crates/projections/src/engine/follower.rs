//! Follows the log with the slots of one read model that this process holds.
//!
//! A batch is whatever has come while the last one took effect, at most [`MOST`] events; it gets
//! smaller when batches take long. A batch that fails is tried again with growing pauses. If that is
//! the fault of an event, it is then taken key by key, and what fails alone is parked (law 8);
//! otherwise nothing is skipped, however long it takes, and [`Status`] says what is wrong.

use std::sync::Arc;
use std::time::Duration;

use eventstore::answer::{self, within};
use eventstore::{Position, RecordedEvent};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Status;
use super::attendance::Grants;
use super::tail::{Next, Tail};
use crate::attempts::Attempts;
use crate::batch::{BatchError, Batches, chain};
use crate::slots::{self, Held};
use crate::{Projection, Source};

/// Most events that are looked at for one batch.
const MOST: usize = 1_000;

/// Fewest events of a batch that takes long.
const FEWEST: usize = 16;

/// How long a statement may take: less than an answer is waited for.
const LONGEST_STATEMENT: Duration = Duration::from_secs(9);

/// How long a batch may take before the next ones get smaller.
const LONG: Duration = Duration::from_secs(1);

pub(super) struct Follower {
    batches: Batches,
    worker: Uuid,
    grants: watch::Receiver<Grants>,
    /// Asks what is held, at once.
    again: Arc<Notify>,
    tail: Arc<Tail>,
    end: watch::Receiver<Position>,
    status: watch::Sender<Status>,
    held: watch::Sender<Held>,
    /// Events that are looked at for one batch.
    most: usize,
}

/// What a look at the log came to.
enum Step {
    Moved,
    Nothing,
}

impl Follower {
    pub(super) fn new(
        source: Source,
        projection: &'static Projection,
        worker: Uuid,
        grants: watch::Receiver<Grants>,
        again: Arc<Notify>,
        tail: Arc<Tail>,
    ) -> Self {
        Self {
            batches: Batches::new(source, projection, &projection.model(), LONGEST_STATEMENT)
                .traced(),
            worker,
            grants,
            again,
            end: tail.reached(),
            tail,
            status: watch::Sender::new(Status::Standby),
            held: watch::Sender::default(),
            most: MOST,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.batches.projection.name
    }

    pub(super) fn model(&self) -> String {
        self.batches.projection.model()
    }

    pub(super) fn status(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    pub(super) fn held(&self) -> watch::Receiver<Held> {
        self.held.subscribe()
    }

    #[tracing::instrument(name = "projections.follow", skip_all, fields(projection.name = self.name()))]
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut attempts = Attempts::default();
        while !stop.is_cancelled() {
            self.take_up_grants().await;
            let is_paused = self.is_paused();
            if is_paused || self.held.borrow().slots.is_empty() {
                self.tell(if is_paused { Status::Paused } else { Status::Standby });
                tokio::select! {
                    () = stop.cancelled() => {}
                    _ = self.grants.changed() => {}
                }
                continue;
            }
            let begun = Instant::now();
            let outcome = self.step(&attempts).await;
            self.adapt(begun.elapsed(), outcome.is_ok());
            match outcome {
                Ok(Step::Moved) => {
                    attempts = Attempts::default();
                    self.tell(Status::Following);
                }
                Ok(Step::Nothing) => {
                    attempts = Attempts::default();
                    self.tell(Status::Following);
                    let from = self.held.borrow().position().unwrap_or_default();
                    tokio::select! {
                        () = stop.cancelled() => {}
                        _ = self.end.wait_for(|end| *end > from) => {}
                        _ = self.grants.changed() => {}
                    }
                }
                Err(BatchError::Fenced(error)) => {
                    tracing::info!(%error, "asking what is held");
                    self.held.send_modify(|held| held.slots.clear());
                    self.grants.mark_unchanged();
                    self.again.notify_one();
                    tokio::select! {
                        () = stop.cancelled() => {}
                        _ = self.grants.changed() => {}
                    }
                }
                Err(error) => {
                    let pause = attempts.failed(&error);
                    self.fail(attempts.made(), &error);
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(pause) => {}
                    }
                }
            }
        }
        let slots: Vec<_> = self.held.borrow().slots.keys().copied().collect();
        self.give_up(&slots).await;
    }

    fn is_paused(&self) -> bool {
        self.grants.borrow().slots.values().any(|grant| grant.is_paused)
    }

    fn tell(&self, status: Status) {
        self.status.send_if_modified(|known| {
            let is_new = *known != status;
            *known = status;
            is_new
        });
    }

    /// Takes up slots that are newly held, drops those that are not any more, and gives up those that
    /// others lack.
    async fn take_up_grants(&mut self) {
        let grants = self.grants.borrow_and_update().clone();
        let mut surplus = Vec::new();
        self.held.send_if_modified(|held| {
            if held.generation != grants.generation {
                *held = Held { generation: grants.generation, ..Held::default() };
            }
            held.slots.retain(|slot, _| grants.slots.contains_key(slot));
            for (number, grant) in &grants.slots {
                if grant.is_surplus {
                    held.slots.remove(number);
                    surplus.push(*number);
                    continue;
                }
                let known = held.slots.get(number);
                if known.is_none_or(|known| known.epoch != grant.slot.epoch) {
                    held.slots.insert(*number, grant.slot);
                    held.may_have_parked = true;
                }
            }
            true
        });
        if !surplus.is_empty() {
            tracing::info!(slots = ?surplus, "giving slots up to another process");
            self.give_up(&surplus).await;
        }
    }

    async fn give_up(&self, slots: &[i16]) {
        if slots.is_empty() {
            return;
        }
        let generation = self.held.borrow().generation;
        let pool = self.batches.source.store.pool();
        let released = within::<_, sqlx::Error>(async {
            let mut transaction = answer::begin(pool, "BEGIN").await?;
            slots::release(&mut transaction, self.worker, generation, slots).await?;
            transaction.commit().await
        });
        if let Err(error) = released.await {
            tracing::debug!(%error, "could not give slots up, the lease ends by itself");
        }
    }

    async fn step(&self, attempts: &Attempts) -> Result<Step, BatchError> {
        let held = self.held.borrow().clone();
        let Some(from) = held.position() else { return Ok(Step::Nothing) };
        let (pages, read_to) = match self.tail.after(from) {
            Next::Nothing => return Ok(Step::Nothing),
            Next::Pages(pages) => (pages, None),
            Next::Forgotten(end) => {
                let limit = u16::try_from(self.most).unwrap_or(u16::MAX);
                let filter = self.batches.projection.filter();
                let page = self.batches.source.store.read_page(&filter, from, end, limit).await?;
                (vec![Arc::new(page.events)], Some(page.reached))
            }
        };
        let events: Vec<&RecordedEvent> = pages
            .iter()
            .flat_map(|page| page.iter())
            .skip_while(|event| event.position <= from)
            .take(self.most)
            .collect();
        let last = events.last().map(|event| event.position);
        let Some(to) = read_to.or(last) else { return Ok(Step::Nothing) };
        let reads = |event: &&RecordedEvent| self.batches.projection.reads(&event.event_type.name);
        if !events.iter().any(reads) {
            // Nothing is written; `attend` moves the slots along.
            self.held.send_modify(|held| held.passed(to));
            return Ok(Step::Moved);
        }
        let items = self.batches.items(&held, events.into_iter());
        let has_parked = within(self.batches.take(&held, &items, to, attempts)).await?;
        // Slots that were there already have not said anything.
        let all_moved = held.slots.values().all(|slot| slot.position < to);
        self.held.send_modify(|held| {
            held.may_have_parked = has_parked || (held.may_have_parked && !all_moved);
            held.moved(to);
        });
        Ok(Step::Moved)
    }

    /// Batches that take long, or fail, get smaller; others grow again.
    fn adapt(&mut self, took: Duration, is_ok: bool) {
        if took >= LONG || !is_ok {
            self.most = (self.most / 2).max(FEWEST);
        } else {
            self.most = (self.most * 2).min(MOST);
        }
    }

    fn fail(&self, attempts: u32, error: &BatchError) {
        let text = chain(error);
        if attempts == 1 {
            tracing::error!(error = %text, "the read model stands still and tries again");
        } else {
            tracing::warn!(error = %text, attempts, "the read model still stands still");
        }
        let position = self.held.borrow().position().unwrap_or_default();
        self.status.send_replace(Status::Failing { position, attempts, error: text });
    }
}
