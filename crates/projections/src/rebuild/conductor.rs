//! Conducts the making of a generation, from wherever it is to its end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use eventstore::answer::{self, within};
use eventstore::{EventStore, Position};
use sqlx::PgPool;
use sqlx::types::Json;
use tokio::sync::watch;
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::fill::{Control, Filler, NotOurs};
use super::switch::{Still, SwitchError};
use super::throttle::Throttle;
use crate::attempts::pause_after;
use crate::batch::{Batches, chain};
use crate::comparison::{Comparison, compare};
use crate::engine::Making;
use crate::generation::{self, State, schema_of};
use crate::slots::{Held, Slot};
use crate::{Projection, Source, Worker};

/// How often the conductor says how far it is, and hears whether to go on.
const PULSE: Duration = Duration::from_millis(500);

/// How long a statement of a bulk may take.
const LONGEST_STATEMENT: Duration = Duration::from_secs(55);

/// So close to where it shall come that the rest takes a moment.
const CLOSE: i64 = 2_000;

/// Conducts whatever this worker is to make, until `stop`.
pub(crate) async fn conduct_all(
    source: Source,
    worker: Worker,
    projections: &'static [&'static Projection],
    mut makings: watch::Receiver<BTreeMap<String, Making>>,
    stop: CancellationToken,
) {
    let mut tasks = JoinSet::new();
    let mut begun: HashMap<Id, Making> = HashMap::new();
    while !stop.is_cancelled() {
        let wanted = makings.borrow_and_update().clone();
        for (model, making) in wanted {
            let known = projections.iter().find(|projection| projection.model() == model);
            if let Some(projection) = known
                && !begun.values().any(|begun| *begun == making)
            {
                let conductor = Conductor::new(&source, &worker, projection, making);
                let task = tasks.spawn(conductor.conduct(stop.clone()));
                begun.insert(task.id(), making);
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            changed = makings.changed() => if changed.is_err() { break },
            Some(ended) = tasks.join_next_with_id() => {
                // If it is still to be made, whatever has happened, it is taken up again in a while.
                tokio::time::sleep(PULSE).await;
                begun.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
        }
    }
    while tasks.join_next().await.is_some() {}
}

struct Conductor {
    source: Source,
    worker: Worker,
    projection: &'static Projection,
    model: String,
    making: Making,
    filler: Filler,
    control: watch::Sender<Control>,
}

/// What it is told at its beginning.
struct Plan {
    lanes: i16,
    slowdown: Option<f32>,
    hold: bool,
    is_to_verify: bool,
}

impl Conductor {
    fn new(
        source: &Source,
        worker: &Worker,
        projection: &'static Projection,
        making: Making,
    ) -> Self {
        let model = projection.model();
        let schema = schema_of(&model, making.generation);
        let control = watch::Sender::default();
        let filler = Filler {
            batches: Arc::new(Batches::new(source.clone(), projection, &schema, LONGEST_STATEMENT)),
            throttle: Arc::new(Throttle::new(None)),
            control: control.subscribe(),
            trouble: Arc::default(),
            reached: Arc::default(),
        };
        let (source, worker) = (source.clone(), worker.clone());
        Self { source, worker, projection, model, making, filler, control }
    }

    fn pool(&self) -> &PgPool {
        self.source.store.pool()
    }

    #[tracing::instrument(name = "projections.rebuild", skip_all, fields(projection.name = self.projection.name, generation.id = self.making.generation))]
    async fn conduct(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => self.give_up().await,
            // So it also ends when it has just become live.
            () = self.pulse_while_ours() => tracing::debug!("{NotOurs}"),
            outcome = self.make_persistently() => if let Err(not_ours) = outcome {
                tracing::info!("{not_ours}");
            },
        }
    }

    /// Makes it, whatever trouble there is on the way.
    async fn make_persistently(&self) -> Result<(), NotOurs> {
        let mut failures = 0;
        loop {
            match self.make().await {
                Ok(()) => return Ok(()),
                // Something in between was not heard of, as the answer to a commit: if it is still ours,
                // it is begun again from where the database says that it is.
                Err(SwitchError::NotOurs(not_ours)) => {
                    if matches!(self.pulse(0.0).await, Ok(None)) {
                        return Err(not_ours);
                    }
                    failures += 1;
                    tokio::time::sleep(pause_after(failures)).await;
                }
                Err(SwitchError::Database(error)) => {
                    failures += 1;
                    tracing::warn!(error = %chain(&error), "the making of a read model is in trouble, it tries again");
                    self.filler.trouble.send_replace(Some(chain(&error)));
                    tokio::time::sleep(pause_after(failures)).await;
                }
            }
        }
    }

    async fn make(&self) -> Result<(), SwitchError> {
        let plan = self.plan().await?;
        let mut held = self.take_slots().await?;
        let filler = self.filler(&plan);
        tokio::select! {
            () = filler.throttle.adapt(self.pool()) => {}
            outcome = self.fill_to(&filler, &mut held, &plan, Target::Live) => outcome?,
        }
        self.filler.trouble.send_replace(None);
        self.rest().await?;
        self.compare_with_live(&mut held, &plan).await?;
        if plan.hold {
            return Ok(self.end_as_built().await?);
        }
        self.fill_to(&filler, &mut held, &plan, Target::Head).await?;
        self.rest().await?;
        let still = Still::hold(self.pool(), &self.model).await?;
        let position =
            still.replace(&self.filler, &mut held, &self.model, self.making.epoch).await?;
        tracing::info!(%position, "made, and live");
        Ok(())
    }

    async fn plan(&self) -> Result<Plan, SwitchError> {
        let row = sqlx::query!(
            "SELECT lanes, slowdown, hold, purpose, paused FROM projections.generations WHERE id = $1 AND epoch = $2",
            self.making.generation,
            self.making.epoch,
        );
        let row = within(row.fetch_optional(self.pool())).await?.ok_or(NotOurs)?;
        self.control.send_replace(Control { is_paused: row.paused });
        let is_to_verify = row.purpose == "verify";
        Ok(Plan { lanes: row.lanes, slowdown: row.slowdown, hold: row.hold, is_to_verify })
    }

    /// Fills it as carefully as it is planned.
    fn filler(&self, plan: &Plan) -> Filler {
        let throttle = Arc::new(Throttle::new(plan.slowdown.map(f64::from)));
        Filler { throttle, ..self.filler.clone() }
    }

    /// Waits as long as it is paused.
    async fn rest(&self) -> Result<(), SwitchError> {
        // Asked anew, because what was heard last may be half a second old.
        self.plan().await?;
        let mut control = self.filler.control.clone();
        control.wait_for(|control| !control.is_paused).await.map_err(|_| NotOurs)?;
        Ok(())
    }

    /// Fences whoever conducted it before.
    async fn take_slots(&self) -> Result<Held, SwitchError> {
        let slots = sqlx::query!(
            r#"
            WITH ours AS (
                SELECT g.id FROM projections.generations AS g
                WHERE g.id = $1 AND g.epoch = $2 AND g.state = 'building'
                FOR UPDATE
            )
            UPDATE projections.slots AS s
            SET owner = $3, epoch = s.epoch + 1
            FROM ours
            WHERE s.generation = ours.id
            RETURNING s.slot, s.epoch, s.position
            "#,
            self.making.generation,
            self.making.epoch,
            self.worker.id,
        );
        let slots = within(slots.fetch_all(self.pool())).await?;
        if slots.is_empty() {
            return Err(NotOurs.into());
        }
        let slots = slots
            .into_iter()
            .map(|row| (row.slot, Slot::at(row.epoch, Position::new(row.position))));
        let held = Held {
            generation: self.making.generation,
            slots: slots.collect(),
            may_have_parked: true,
        };
        self.filler
            .reached
            .send_replace(held.slots.iter().map(|(slot, held)| (*slot, held.position)).collect());
        Ok(held)
    }

    /// Fills it through its lanes until it is close to `target`.
    async fn fill_to(
        &self,
        filler: &Filler,
        held: &mut Held,
        plan: &Plan,
        target: Target,
    ) -> Result<(), SwitchError> {
        loop {
            let to = self.target(target).await?;
            let from = held.position().unwrap_or_default();
            if to.get() - from.get() <= CLOSE {
                return Ok(());
            }
            filler.fill(held, plan.lanes, to).await?;
        }
    }

    async fn target(&self, target: Target) -> Result<Position, sqlx::Error> {
        let head = self.source.store.head().await?;
        let generations = generation::of(self.pool(), &self.model).await?;
        let live = generations.iter().find(|known| known.state == State::Live);
        Ok(match (target, live) {
            (Target::Live, Some(live)) => live.position.min(head),
            _ => head,
        })
    }

    /// Compares it with the live one at the same position, while both go on.
    async fn compare_with_live(&self, held: &mut Held, plan: &Plan) -> Result<(), SwitchError> {
        let mut still = Still::hold(self.pool(), &self.model).await?;
        let Some(live) = still.live.take() else { return Ok(()) };
        let is_further = |(slot, place): (&i16, &Position)| {
            held.slots.get(slot).is_some_and(|mine| mine.position > *place)
        };
        if still.places.iter().any(is_further) {
            // Compared before, and brought on since: there is no common place any more.
            return Ok(());
        }
        self.filler.at_once().align(held, &still.places).await?;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        let mut snapshot = answer::begin(self.pool(), begin).await?;
        // The snapshot is that of the first statement: taken while the live one is still.
        let parked_new = sqlx::query_scalar!(
            r#"SELECT coalesce(sum(parked), 0)::bigint AS "parked!" FROM projections.slots WHERE generation = $1"#,
            self.making.generation,
        )
        .fetch_one(&mut *snapshot)
        .await?;
        let position = still.places.values().copied().min().unwrap_or_default();
        let parked_live = still.parked;
        drop(still);
        let new = schema_of(&self.model, self.making.generation);
        if plan.slowdown.is_some() {
            // One core is enough for it.
            sqlx::query("SET LOCAL max_parallel_workers_per_gather = 0")
                .execute(&mut *snapshot)
                .await?;
        }
        let tables = compare(&mut snapshot, &live.schema(), &new).await?;
        snapshot.rollback().await?;
        let comparison = Comparison { position, tables, parked_live, parked_new };
        if !comparison.is_equal() && !plan.is_to_verify {
            tracing::warn!(
                "what was made anew differs from the live read model: see `annals projections show`"
            );
        }
        sqlx::query!(
            "UPDATE projections.generations SET comparison = $3 WHERE id = $1 AND epoch = $2",
            self.making.generation,
            self.making.epoch,
            Json(comparison) as _,
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    async fn end_as_built(&self) -> Result<(), sqlx::Error> {
        // A small one is built before its first pulse has told how far it had to come.
        let head = self.source.store.head().await?;
        sqlx::query!(
            r#"
            UPDATE projections.generations
            SET state = 'built', conductor = CASE WHEN purpose = 'verify' THEN conductor END, trouble = NULL, goal = $3
            WHERE id = $1 AND epoch = $2 AND state = 'building'
            "#,
            self.making.generation,
            self.making.epoch,
            head.get(),
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Says how far it is, and hears whether to go on; ends when it is not ours any more.
    async fn pulse_while_ours(&self) {
        let mut last: Option<(Instant, i64)> = None;
        let mut rate = 0.0;
        loop {
            let position = self.filler.reached.borrow().values().min().copied().unwrap_or_default();
            if let Some((at, before)) = last {
                #[expect(clippy::cast_precision_loss, reason = "an estimate")]
                let now = (position.get() - before) as f64 / at.elapsed().as_secs_f64();
                rate = if rate == 0.0 { now } else { rate * 0.7 + now * 0.3 };
            }
            last = Some((Instant::now(), position.get()));
            match self.pulse(rate).await {
                Ok(Some(control)) => {
                    self.control
                        .send_if_modified(|known| std::mem::replace(known, control) != control);
                }
                Ok(None) => return,
                Err(error) => tracing::debug!(%error, "could not say how far the making is"),
            }
            tokio::time::sleep(PULSE).await;
        }
    }

    async fn pulse(&self, rate: f64) -> Result<Option<Control>, sqlx::Error> {
        let mut connection = self.pool().acquire().await?;
        let head = EventStore::head_in(&mut connection).await?;
        let trouble = self.filler.trouble.borrow().clone();
        #[expect(clippy::cast_possible_truncation, reason = "an estimate")]
        let paused = sqlx::query_scalar!(
            r#"
            UPDATE projections.generations
            SET goal = $3, rate = $4, trouble = $5
            WHERE id = $1 AND epoch = $2 AND state = 'building'
            RETURNING paused
            "#,
            self.making.generation,
            self.making.epoch,
            head.get(),
            rate as f32,
            trouble,
        );
        let paused = within(paused.fetch_optional(&mut *connection)).await?;
        Ok(paused.map(|is_paused| Control { is_paused }))
    }

    async fn give_up(&self) {
        let given_up = sqlx::query!(
            r#"
            WITH given_up AS (
                UPDATE projections.generations SET conductor = NULL
                WHERE id = $1 AND epoch = $2 AND purpose = 'replace'
            )
            SELECT pg_notify('projections_changed', '')
            "#,
            self.making.generation,
            self.making.epoch,
        );
        if let Err(error) = within(given_up.fetch_one(self.pool())).await {
            tracing::debug!(%error, "could not give up a making, others take it up when this process is gone");
        }
    }
}

/// How far a generation is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    /// Where the live one is, so that they can be compared.
    Live,
    /// The end of the log.
    Head,
}
