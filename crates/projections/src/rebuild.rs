//! Makes a read model anew from the log, beside the live one, and switches to it.
//!
//! A generation in the making has a conductor: the worker that was asked for it, or, should that be
//! gone, any that knows the read model. The conductor fills it through several lanes
//! ([`fill`]), each with slots of its own, while the live one serves and follows, no faster than
//! others can bear ([`throttle`]). What it reached is in the database, so a crash repeats a batch and
//! no more. When it has come as far as the live one, the two are compared at the same position
//! ([`crate::comparison`]); then it is brought to the end of the log and made live in one transaction
//! ([`switch`]). No query sees an empty or a half-made model, and none waits: renaming a schema takes
//! no lock on its tables. The one that was live is kept, and can be made live again in the same way.

mod conductor;
mod fill;
mod progress;
mod switch;
mod throttle;

use eventstore::answer;
use sqlx::PgPool;

use crate::generation::{self, Generation, State};
use crate::interventions::{Action, record};
use crate::{Projection, Worker};

pub(crate) use conductor::conduct_all;
pub use progress::{Progress, progress};

/// How a read model is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// How many connections fill it: 1 to 8.
    pub lanes: i16,
    /// How many times slower others may become by it; `None` if nobody cares.
    pub slowdown: Option<f32>,
    /// Not to make it live by itself.
    pub hold: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { lanes: 2, slowdown: Some(3.0), hold: false }
    }
}

/// Why nothing was begun or changed.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// One at a time.
    #[error(
        "{0} is in the making already: `annals projections list` shows how far, \
         `annals projections cancel` gives that up"
    )]
    UnderWay(String),
    /// There is nothing to pause, resume or cancel.
    #[error("{0} is not in the making")]
    NotUnderWay(String),
    /// There is no generation that could be made live.
    #[error("{}", none_kept(model, state))]
    NoneKept {
        /// Of what.
        model: String,
        /// Which was looked for.
        state: &'static str,
    },
    /// The database did not answer, or refused.
    #[error("change the generations of a read model")]
    Database(#[from] sqlx::Error),
}

fn none_kept(model: &str, state: &str) -> String {
    if state == State::Retired.as_str() {
        format!("nothing is kept that {model} could go back to, or that could be dropped")
    } else {
        format!(
            "nothing that was made of {model} waits: `annals projections rebuild --hold` makes it"
        )
    }
}

/// What is begun, and by whom.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Of what.
    pub projection: &'static Projection,
    /// The worker that conducts it as long as it is there; others take over.
    pub worker: &'a Worker,
    /// Who asked, for the record.
    pub by: &'a str,
}

/// Begins to make a read model anew; answers with the id of the generation. Its
/// [`progress()`] tells what becomes of it.
///
/// # Errors
/// [`RebuildError::UnderWay`]: it is in the making already.
pub async fn begin(
    pool: &PgPool,
    request: Request<'_>,
    options: Options,
) -> Result<i64, RebuildError> {
    let Request { projection, by, .. } = request;
    begin_as(pool, request, options, "replace", async |connection| {
        record(connection, by, Action::Rebuild, &projection.model()).await
    })
    .await
}

/// Begins to make a read model anew only to compare it with the live one: [`crate::verify`].
pub(crate) async fn begin_to_verify(
    pool: &PgPool,
    request: Request<'_>,
    options: Options,
) -> Result<i64, RebuildError> {
    begin_as(pool, request, Options { hold: true, ..options }, "verify", async |_| Ok(())).await
}

/// Drops what was made to be compared.
///
/// # Errors
/// The database cannot be reached.
pub async fn drop_verified(
    pool: &PgPool,
    projection: &Projection,
    id: i64,
) -> Result<(), sqlx::Error> {
    let mut transaction = answer::begin(pool, "BEGIN").await?;
    generation::lock(&mut transaction, &projection.model()).await?;
    generation::drop(&mut transaction, &projection.model(), id).await?;
    transaction.commit().await
}

async fn begin_as(
    pool: &PgPool,
    Request { projection, worker, .. }: Request<'_>,
    options: Options,
    purpose: &str,
    record: impl AsyncFnOnce(&mut sqlx::PgConnection) -> Result<(), sqlx::Error>,
) -> Result<i64, RebuildError> {
    let model = projection.model();
    let mut transaction = answer::begin(pool, "BEGIN").await?;
    generation::lock(&mut transaction, &model).await?;
    drop_abandoned(&mut transaction, &model).await?;
    let known = generation::of_in(&mut transaction, &model).await?;
    if known.iter().any(|known| matches!(known.state, State::Building | State::Built)) {
        return Err(RebuildError::UnderWay(model));
    }
    crate::engine::announce(&mut transaction, worker).await?;
    let id =
        generation::create(&mut transaction, projection, State::Building, Some(worker.id)).await?;
    sqlx::query!(
        "UPDATE projections.generations SET lanes = $2, slowdown = $3, hold = $4, purpose = $5 WHERE id = $1",
        id,
        options.lanes,
        options.slowdown,
        options.hold,
        purpose,
    )
    .execute(&mut *transaction)
    .await?;
    record(&mut transaction).await?;
    transaction.commit().await?;
    Ok(id)
}

/// Generations that were made to be compared, by somebody who is gone, are nobody's.
pub(crate) async fn drop_abandoned(
    connection: &mut sqlx::PgConnection,
    model: &str,
) -> Result<(), sqlx::Error> {
    let abandoned = sqlx::query_scalar!(
        r#"
        SELECT g.id
        FROM projections.generations AS g
        WHERE g.model = $1 AND g.purpose = 'verify' AND NOT EXISTS (
            SELECT 1 FROM projections.workers AS w
            WHERE w.id = g.conductor AND w.expires_at > clock_timestamp()
        )
        "#,
        model,
    )
    .fetch_all(&mut *connection)
    .await?;
    for id in abandoned {
        generation::drop(&mut *connection, model, id).await?;
    }
    Ok(())
}

/// Lets a making rest, or go on.
///
/// # Errors
/// [`RebuildError::NotUnderWay`].
pub async fn set_paused(
    pool: &PgPool,
    projection: &Projection,
    is_paused: bool,
    by: &str,
) -> Result<(), RebuildError> {
    let model = projection.model();
    let mut transaction = answer::begin(pool, "BEGIN").await?;
    let changed = sqlx::query!(
        "UPDATE projections.generations SET paused = $2 WHERE model = $1 AND state = 'building'",
        model,
        is_paused,
    )
    .execute(&mut *transaction)
    .await?;
    if changed.rows_affected() == 0 {
        return Err(RebuildError::NotUnderWay(model));
    }
    let action = if is_paused { Action::Pause } else { Action::Resume };
    record(&mut transaction, by, action, &model).await?;
    Ok(transaction.commit().await?)
}

/// Gives up a making, or one that is made and waits; the live one is as it was.
///
/// # Errors
/// [`RebuildError::NotUnderWay`].
pub async fn cancel(pool: &PgPool, projection: &Projection, by: &str) -> Result<(), RebuildError> {
    let wanted = [State::Building, State::Built];
    let model = projection.model();
    if drop_kept(pool, &model, &wanted, Action::Cancel, by).await? {
        Ok(())
    } else {
        Err(RebuildError::NotUnderWay(model))
    }
}

/// Drops the generation that was replaced: there is no way back to it then.
///
/// # Errors
/// [`RebuildError::NoneKept`].
pub async fn discard(pool: &PgPool, projection: &Projection, by: &str) -> Result<(), RebuildError> {
    let model = projection.model();
    if drop_kept(pool, &model, &[State::Retired], Action::Discard, by).await? {
        Ok(())
    } else {
        Err(RebuildError::NoneKept { model, state: "retired" })
    }
}

async fn drop_kept(
    pool: &PgPool,
    model: &str,
    wanted: &[State],
    action: Action,
    by: &str,
) -> Result<bool, sqlx::Error> {
    let mut transaction = answer::begin(pool, "BEGIN").await?;
    generation::lock(&mut transaction, model).await?;
    let known = generation::of_in(&mut transaction, model).await?;
    let unwanted: Vec<_> = known.iter().filter(|known| wanted.contains(&known.state)).collect();
    for generation in &unwanted {
        generation::drop(&mut transaction, model, generation.id).await?;
    }
    if !unwanted.is_empty() {
        record(&mut transaction, by, action, model).await?;
    }
    transaction.commit().await?;
    Ok(!unwanted.is_empty())
}

/// Makes live what was made and held.
///
/// # Errors
/// [`RebuildError::NoneKept`].
pub async fn release(pool: &PgPool, request: Request<'_>) -> Result<i64, RebuildError> {
    go_on_with(pool, request, State::Built, Action::Switch).await
}

/// Makes live again what was replaced: brings it to the end of the log, and switches to it.
///
/// # Errors
/// [`RebuildError::NoneKept`]; [`RebuildError::UnderWay`]: another one is in the making.
pub async fn switch_back(pool: &PgPool, request: Request<'_>) -> Result<i64, RebuildError> {
    go_on_with(pool, request, State::Retired, Action::SwitchBack).await
}

async fn go_on_with(
    pool: &PgPool,
    Request { projection, worker, by }: Request<'_>,
    state: State,
    action: Action,
) -> Result<i64, RebuildError> {
    let model = projection.model();
    let mut transaction = answer::begin(pool, "BEGIN").await?;
    generation::lock(&mut transaction, &model).await?;
    drop_abandoned(&mut transaction, &model).await?;
    let known = generation::of_in(&mut transaction, &model).await?;
    let is_other = |known: &&Generation| {
        matches!(known.state, State::Building | State::Built)
            && (known.state != state || known.is_to_verify)
    };
    if known.iter().any(|known| is_other(&known)) {
        return Err(RebuildError::UnderWay(model));
    }
    let Some(kept) = known.iter().rfind(|known| known.state == state) else {
        return Err(RebuildError::NoneKept { model, state: state.as_str() });
    };
    crate::engine::announce(&mut transaction, worker).await?;
    sqlx::query!(
        r#"
        UPDATE projections.generations
        SET state = 'building', hold = false, paused = false, purpose = 'replace',
            conductor = $2, epoch = epoch + 1, trouble = NULL, comparison = NULL
        WHERE id = $1
        "#,
        kept.id,
        worker.id,
    )
    .execute(&mut *transaction)
    .await?;
    // What was paused when it was replaced would take nothing in, and could not be brought to the end.
    sqlx::query!("UPDATE projections.slots SET paused = false WHERE generation = $1", kept.id)
        .execute(&mut *transaction)
        .await?;
    record(&mut transaction, by, action, &model).await?;
    transaction.commit().await?;
    Ok(kept.id)
}
