//! Says that this process is there, and learns what it holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use eventstore::answer::within;
use eventstore::{Position, Wakeup};
use serde::Deserialize;
use sqlx::postgres::types::PgInterval;
use sqlx::{PgConnection, PgPool};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::tail::Tail;
use super::{HEARTBEAT, LEASE, Reached, Worker};
use crate::slots::Slot;
use crate::{Projection, Source};

/// What the database says that this process holds of a read model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Grants {
    pub(super) generation: i64,
    pub(super) slots: BTreeMap<i16, Grant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    pub(super) slot: Slot,
    pub(super) is_paused: bool,
    /// Others have less than their share because this one has more.
    pub(super) is_surplus: bool,
}

/// A generation in the making that this process conducts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Making {
    pub(crate) generation: i64,
    pub(crate) epoch: i64,
}

pub(super) struct Attendance {
    source: Source,
    worker: Worker,
    models: Vec<String>,
    grants: BTreeMap<String, watch::Sender<Grants>>,
    makings: watch::Sender<BTreeMap<String, Making>>,
    again: Arc<Notify>,
}

/// What `projections.attend` answers.
#[derive(Deserialize)]
struct Holdings {
    slots: Vec<SlotRow>,
    makings: Vec<MakingRow>,
}

#[derive(Deserialize)]
struct SlotRow {
    generation: i64,
    model: String,
    slot: i16,
    epoch: i64,
    position: i64,
    paused: bool,
    surplus: bool,
}

#[derive(Deserialize)]
struct MakingRow {
    model: String,
    #[serde(flatten)]
    making: Making,
}

impl Attendance {
    pub(super) fn new(source: Source, worker: Worker, projections: &[&Projection]) -> Self {
        let models: Vec<_> = projections.iter().map(|projection| projection.model()).collect();
        let grants = models.iter().map(|model| (model.clone(), watch::Sender::default())).collect();
        let (makings, again) = (watch::Sender::default(), Arc::default());
        Self { source, worker, models, grants, makings, again }
    }

    /// Where what is held of `projection` is told, and how to ask anew at once.
    pub(super) fn of(&mut self, projection: &Projection) -> (watch::Receiver<Grants>, Arc<Notify>) {
        let grants = self.grants.entry(projection.model()).or_default().subscribe();
        (grants, Arc::clone(&self.again))
    }

    /// What this process is to make.
    pub(super) fn makings(&self) -> watch::Receiver<BTreeMap<String, Making>> {
        self.makings.subscribe()
    }

    pub(super) async fn run(
        self,
        mut changed: Wakeup,
        held: Reached,
        tail: Arc<Tail>,
        leaving: CancellationToken,
        stop: CancellationToken,
    ) {
        let mut has_left = false;
        let mut is_well = true;
        loop {
            // Who leaves shares in nothing any more; what it has in hand is left to it.
            let models = if leaving.is_cancelled() { &[][..] } else { &self.models };
            match self.attend(&held, models).await {
                Ok(end) => {
                    is_well = true;
                    tail.log_ends_at(end);
                }
                Err(error) if is_well => {
                    tracing::warn!(%error, "cannot say that this process is there, it tries again");
                    is_well = false;
                }
                Err(_) => {}
            }
            tail.set_wanted(self.grants.values().any(|grants| !grants.borrow().slots.is_empty()));
            tokio::select! {
                () = stop.cancelled() => return,
                () = leaving.cancelled(), if !has_left => has_left = true,
                () = changed.notified() => {}
                () = self.again.notified() => {}
                () = tokio::time::sleep(HEARTBEAT) => {}
            }
        }
    }

    async fn attend(&self, held: &Reached, models: &[String]) -> Result<Position, sqlx::Error> {
        let (mut generations, mut slots, mut epochs) = (vec![], vec![], vec![]);
        let (mut written, mut positions) = (vec![], vec![]);
        for held in held.all() {
            for (number, slot) in held.slots {
                generations.push(held.generation);
                slots.push(number);
                epochs.push(slot.epoch);
                written.push(slot.written.get());
                positions.push(slot.position.get());
            }
        }
        let answer = sqlx::query!(
            r#"
            SELECT head AS "head?", held::text AS "held!"
            FROM projections.attend($1, $2, $3, $4, $5, $6, $7, $8, $9)
            "#,
            self.worker.id,
            self.worker.name,
            models,
            lease(),
            &generations,
            &slots,
            &epochs,
            &written,
            &positions,
        );
        let answer = within(answer.fetch_one(self.source.store.pool())).await?;
        let unreadable = |error: serde_json::Error| sqlx::Error::Decode(error.into());
        let holdings: Holdings = serde_json::from_str(&answer.held).map_err(unreadable)?;
        self.tell(holdings);
        Ok(Position::new(answer.head.unwrap_or_default()))
    }

    fn tell(&self, holdings: Holdings) {
        let mut by_model: BTreeMap<String, Grants> = BTreeMap::new();
        for row in holdings.slots {
            let slot = Slot::at(row.epoch, Position::new(row.position));
            let grant = Grant { slot, is_paused: row.paused, is_surplus: row.surplus };
            let grants = by_model.entry(row.model).or_default();
            grants.generation = row.generation;
            grants.slots.insert(row.slot, grant);
        }
        for (model, sender) in &self.grants {
            // Always told, changed or not: who was fenced waits for what was asked after that.
            sender.send_replace(by_model.remove(model).unwrap_or_default());
        }
        let makings: BTreeMap<_, _> =
            holdings.makings.into_iter().map(|row| (row.model, row.making)).collect();
        self.makings.send_if_modified(|known| {
            let is_new = *known != makings;
            *known = makings;
            is_new
        });
    }
}

/// Says that `worker` is there, in the caller's transaction, before it attends for the first time.
pub(crate) async fn announce(
    connection: &mut PgConnection,
    worker: &Worker,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        INSERT INTO projections.workers AS w (id, name, models, expires_at)
        VALUES ($1, $2, '{}', clock_timestamp() + $3::interval)
        ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at
        "#,
        worker.id,
        worker.name,
        lease(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

fn lease() -> PgInterval {
    let microseconds = i64::try_from(LEASE.as_micros()).unwrap_or(i64::MAX);
    PgInterval { months: 0, days: 0, microseconds }
}

/// Says that `worker` is gone, and gives up what it may still hold.
pub(super) async fn leave(pool: &PgPool, worker: Uuid) -> Result<(), sqlx::Error> {
    let gone = sqlx::query!(
        r#"
        WITH gone AS (DELETE FROM projections.workers WHERE id = $1),
             released AS (UPDATE projections.slots SET owner = NULL WHERE owner = $1)
        SELECT pg_notify('projections_changed', '')
        "#,
        worker,
    );
    within(gone.fetch_one(pool)).await?;
    Ok(())
}
