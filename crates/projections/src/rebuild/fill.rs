//! Fills a generation from the log: one reader, several lanes.
//!
//! The reader reads ahead of the lanes, once for all of them; each lane has slots and a connection of
//! its own, and takes effect of its part of every page in one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use eventstore::{Page, Position};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::throttle::Throttle;
use crate::attempts::{Attempts, pause_after};
use crate::batch::{BatchError, Batches, chain};
use crate::slots::Held;

/// Events of a page.
const PAGE: u16 = 4_000;

/// Events of a page where others are to be spared: nobody waits long for a core.
const SPARING_PAGE: u16 = 500;

/// Pages that wait for a lane.
const AHEAD: usize = 1;

/// Longer than any batch takes whose end is still to come.
const LONGEST: Duration = Duration::from_mins(1);

/// What the conductor is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Control {
    pub(super) is_paused: bool,
}

/// Somebody else conducts it, or it is not wanted any more.
#[derive(Debug, thiserror::Error)]
#[error("it is not ours to make any more")]
pub(super) struct NotOurs;

/// Fills one generation.
#[derive(Clone)]
pub(super) struct Filler {
    pub(super) batches: Arc<Batches>,
    pub(super) throttle: Arc<Throttle>,
    pub(super) control: watch::Receiver<Control>,
    /// Why it does not go on.
    pub(super) trouble: Arc<watch::Sender<Option<String>>>,
    /// Up to where all lanes have come.
    pub(super) reached: Arc<watch::Sender<BTreeMap<i16, Position>>>,
}

impl Filler {
    /// The same, for a moment in which others wait: it neither rests nor pauses.
    pub(super) fn at_once(&self) -> Self {
        let throttle = Arc::new(Throttle::new(None));
        let control = watch::Sender::default().subscribe();
        Self { throttle, control, ..self.clone() }
    }

    /// Takes effect of everything up to `to` on all slots of `held`, through `lanes` connections.
    pub(super) async fn fill(
        &self,
        held: &mut Held,
        lanes: i16,
        to: Position,
    ) -> Result<(), NotOurs> {
        let Some(from) = held.position().filter(|from| *from < to) else { return Ok(()) };
        let mut tasks = JoinSet::new();
        let mut ways = Vec::new();
        for lane in 0..lanes.max(1) {
            let is_of_lane = |slot: &i16| slot.rem_euclid(lanes.max(1)) == lane;
            let slots = held.slots.iter().filter(|(slot, _)| is_of_lane(slot));
            let part = Held {
                generation: held.generation,
                slots: slots.map(|(slot, held)| (*slot, *held)).collect(),
                may_have_parked: true,
            };
            if part.slots.is_empty() {
                continue;
            }
            let (way, pages) = mpsc::channel(AHEAD);
            ways.push(way);
            tasks.spawn(self.clone().lane(part, pages));
        }
        let reading = self.clone().read(from, to, ways);
        let ((), outcome) = tokio::join!(reading, async {
            let mut outcome = Ok(());
            while let Some(lane) = tasks.join_next().await {
                match lane {
                    Ok(Ok(part)) => held.slots.extend(part.slots),
                    Ok(Err(not_ours)) => outcome = Err(not_ours),
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_) => outcome = Err(NotOurs),
                }
            }
            outcome
        });
        outcome
    }

    /// Hands pages to all lanes until `to` is reached or nobody takes them any more.
    async fn read(self, mut from: Position, to: Position, ways: Vec<mpsc::Sender<Arc<Page>>>) {
        let filter = self.batches.projection.filter();
        let store = &self.batches.source.store;
        let mut attempts = 0;
        while from < to {
            let limit = if self.throttle.is_sparing() { SPARING_PAGE } else { PAGE };
            let reading = Box::pin(store.read_page(&filter, from, to, limit));
            let page = match self.throttle.work(reading).await {
                Ok(page) => Arc::new(page),
                Err(error) => {
                    attempts += 1;
                    self.trouble.send_replace(Some(chain(&error)));
                    tokio::time::sleep(pause_after(attempts)).await;
                    continue;
                }
            };
            attempts = 0;
            from = page.reached;
            for way in &ways {
                if way.send(Arc::clone(&page)).await.is_err() {
                    return;
                }
            }
        }
    }

    async fn lane(
        mut self,
        mut held: Held,
        mut pages: mpsc::Receiver<Arc<Page>>,
    ) -> Result<Held, NotOurs> {
        while let Some(page) = pages.recv().await {
            self.control.wait_for(|control| !control.is_paused).await.map_err(|_| NotOurs)?;
            self.throttle.clone().work(self.take(&mut held, &page)).await?;
        }
        Ok(held)
    }

    /// Takes effect of a page, however often it must be tried.
    async fn take(&self, held: &mut Held, page: &Page) -> Result<(), NotOurs> {
        let mut attempts = Attempts::default();
        loop {
            let items = self.batches.items(held, page.events.iter());
            let taken = self.batches.take(held, &items, page.reached, &attempts);
            let outcome = match tokio::time::timeout(LONGEST, taken).await {
                Ok(outcome) => outcome,
                Err(elapsed) => Err(BatchError::Trouble(std::io::Error::from(elapsed).into())),
            };
            match outcome {
                Ok(_) => {
                    held.moved(page.reached);
                    self.reached.send_modify(|reached| {
                        reached
                            .extend(held.slots.iter().map(|(slot, held)| (*slot, held.position)));
                    });
                    if attempts.made() > 0 {
                        self.trouble.send_replace(None);
                    }
                    return Ok(());
                }
                Err(BatchError::Fenced(_)) => return Err(NotOurs),
                Err(error) => {
                    self.trouble.send_replace(Some(chain(&error)));
                    tokio::time::sleep(attempts.failed(&error)).await;
                }
            }
        }
    }

    /// Brings each slot to a place of its own, none of them far away.
    pub(super) async fn align(
        &self,
        held: &mut Held,
        places: &BTreeMap<i16, Position>,
    ) -> Result<(), NotOurs> {
        for (slot, place) in places {
            let Some(mine) = held.slots.get(slot).copied() else { continue };
            let slots = BTreeMap::from([(*slot, mine)]);
            let mut part = Held { generation: held.generation, slots, may_have_parked: true };
            self.fill(&mut part, 1, *place).await?;
            held.slots.extend(part.slots);
        }
        Ok(())
    }
}
