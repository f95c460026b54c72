//! Keeps read models: as many processes as there are share the slots of each.
//!
//! A process has one [`Engine`]. Some times a second it says in one statement that it is there, takes
//! slots that nobody holds, and learns what it holds ([`attendance`]). It reads the end of the log
//! once for all its read models ([`tail`]); for each read model a follower takes effect of what the
//! read model reads ([`follower`]). What is in the making is conducted beside ([`crate::rebuild`]).
//!
//! A process that says nothing for [`LEASE`] loses its slots to others; one that stops gives them up.

mod attendance;
mod follower;
mod tail;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use eventstore::{Position, Wakeup};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::rebuild::conduct_all;
use crate::slots::Held;
use crate::{Projection, Source};
use attendance::Attendance;
pub(crate) use attendance::{Making, announce};
use follower::Follower;
use tail::Tail;

/// How long a process that says nothing is left what it holds.
pub const LEASE: Duration = Duration::from_millis(2_100);

/// How often a process says that it is there.
pub const HEARTBEAT: Duration = Duration::from_millis(600);

/// Who a process is among those that keep read models.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Its own for as long as it runs.
    pub id: Uuid,
    /// For people: where it runs.
    pub name: String,
}

/// How a process is doing with a read model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Other processes hold all slots, or there is nothing yet.
    Standby,
    /// It follows the log.
    Following,
    /// Somebody has paused it.
    Paused,
    /// What comes next in the log cannot take effect; it is tried again.
    Failing {
        /// Everything up to here has taken effect.
        position: Position,
        /// How often it was tried.
        attempts: u32,
        /// What is wrong.
        error: String,
    },
}

/// Keeps read models; made by [`Engine::new`], works in [`Engine::run`].
pub struct Engine {
    source: Source,
    worker: Worker,
    wakeup: Wakeup,
    changed: Wakeup,
    followers: Vec<Follower>,
    held: Reached,
    tail: Arc<Tail>,
    attendance: Attendance,
    makes: &'static [&'static Projection],
}

/// How far the read models of this process have come, without asking the database.
#[derive(Debug, Clone, Default)]
pub struct Reached {
    held: Arc<BTreeMap<String, watch::Receiver<Held>>>,
}

impl Engine {
    /// Will keep `projections` of the log of `source` as `worker`.
    ///
    /// `wakeup` tells of appends; `changed`, made by [`changes`], of what concerns who keeps what.
    #[must_use]
    pub fn new(
        source: Source,
        projections: &'static [&'static Projection],
        worker: Worker,
        wakeup: Wakeup,
        changed: Wakeup,
    ) -> Self {
        let tail = Arc::new(Tail::default());
        let mut attendance = Attendance::new(source.clone(), worker.clone(), projections);
        let followers: Vec<_> = projections
            .iter()
            .map(|projection| {
                let (grants, again) = attendance.of(projection);
                Follower::new(
                    source.clone(),
                    projection,
                    worker.id,
                    grants,
                    again,
                    Arc::clone(&tail),
                )
            })
            .collect();
        let held = followers.iter().map(|follower| (follower.model(), follower.held())).collect();
        let held = Reached { held: Arc::new(held) };
        let makes = projections;
        Self { source, worker, wakeup, changed, followers, held, tail, attendance, makes }
    }

    /// Will keep nothing, and only make what `worker` is to make of `projections`: for tools.
    #[must_use]
    pub fn only_making(
        source: Source,
        projections: &'static [&'static Projection],
        worker: Worker,
        wakeup: Wakeup,
        changed: Wakeup,
    ) -> Self {
        Self { makes: projections, ..Self::new(source, &[], worker, wakeup, changed) }
    }

    /// How it is doing with each of its read models, by name.
    #[must_use]
    pub fn statuses(&self) -> Vec<(&'static str, watch::Receiver<Status>)> {
        self.followers.iter().map(|follower| (follower.name(), follower.status())).collect()
    }

    /// How far its read models have come, now and later.
    #[must_use]
    pub fn reached(&self) -> Reached {
        self.held.clone()
    }

    /// Works until `stop`; batches in hand are finished and slots given up.
    #[tracing::instrument(name = "projections.engine", skip_all, fields(worker.id = %self.worker.id))]
    pub async fn run(self, stop: CancellationToken) {
        let Self { source, worker, wakeup, changed, followers, held, tail, attendance, makes } =
            self;
        let store = &source.store;
        let mut working = JoinSet::new();
        for follower in followers {
            working.spawn(follower.run(stop.clone()));
        }
        let (making, makings) = (worker.clone(), attendance.makings());
        working.spawn(conduct_all(source.clone(), making, makes, makings, stop.clone()));
        let ended = CancellationToken::new();
        let mut serving = JoinSet::new();
        serving.spawn(Arc::clone(&tail).run(store.clone(), wakeup, ended.clone()));
        serving.spawn(attendance.run(changed, held, tail, stop, ended.clone()));
        finished(working).await;
        ended.cancel();
        finished(serving).await;
        if let Err(error) = attendance::leave(store.pool(), worker.id).await {
            tracing::debug!(%error, "could not say that this process is gone, others notice it themselves");
        }
    }
}

impl Reached {
    /// Up to where everything has taken effect on `model`, if this process holds all of it.
    #[must_use]
    pub fn of(&self, model: &str) -> Option<Position> {
        let held = self.held.get(model)?.borrow();
        held.is_all().then(|| held.position()).flatten()
    }

    /// Whether what is told here of `model` is enough for queries: this process keeps all of it, and
    /// for one for a single key no key is parked, as far as it knows.
    pub(crate) fn tells(&self, model: &str, is_for_a_key: bool) -> bool {
        self.held.get(model).is_some_and(|held| held.borrow().tells(is_for_a_key))
    }

    /// Waits until this process sees `model` at `position`, and [tells](Self::tells) enough; for ever
    /// if it never does.
    pub(crate) async fn wait(&self, model: &str, position: Position, is_for_a_key: bool) {
        let reached = |held: &Held| {
            held.tells(is_for_a_key) && held.position().is_some_and(|at| at >= position)
        };
        if let Some(held) = self.held.get(model)
            && held.clone().wait_for(reached).await.is_ok()
        {
            return;
        }
        std::future::pending::<()>().await;
    }

    fn all(&self) -> impl Iterator<Item = Held> {
        self.held.values().map(|held| held.borrow().clone())
    }
}

/// What is heard of changes in who keeps which read model; for [`Engine::new`].
#[must_use]
pub fn changes(pool: sqlx::PgPool) -> Wakeup {
    Wakeup::listen_to(pool, "projections_changed")
}

/// Waits for all parts; one that panicked takes the engine with it, loudly.
async fn finished(mut parts: JoinSet<()>) {
    while let Some(part) = parts.join_next().await {
        if let Err(error) = part
            && error.is_panic()
        {
            std::panic::resume_unwind(error.into_panic());
        }
    }
}
