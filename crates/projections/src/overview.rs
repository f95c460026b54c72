//! How every read model is doing, whichever process keeps it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use eventstore::answer::within;
use eventstore::{EventStore, Position};
use serde::Serialize;
use sqlx::PgPool;

use crate::Projection;
use crate::generation::{self, Generation, State};

/// How a read model is doing.
#[derive(Debug, Clone, Serialize)]
pub struct Overview {
    /// What operators call it.
    pub name: String,
    /// Of which shape.
    pub version: u16,
    /// How its live generation is doing; nothing while it is made for the first time.
    pub live: Option<Live>,
    /// The one in the making, or made and held.
    pub making: Option<Making>,
    /// The generation that was replaced last, if it is kept.
    pub retired: Option<i64>,
}

/// How a live generation is doing.
#[derive(Debug, Clone, Serialize)]
pub struct Live {
    /// Which.
    pub generation: i64,
    /// Everything up to here has taken effect, or is parked.
    pub position: Position,
    /// How many events have happened since the first one that it reads and that has yet to take
    /// effect.
    pub behind_events: i64,
    /// How long that one has waited, in seconds.
    pub behind_seconds: f64,
    /// Whether somebody paused it.
    pub paused: bool,
    /// How many keys are parked.
    pub parked_keys: i64,
    /// Who keeps it, with how many slots; slots that nobody keeps are missing.
    pub keepers: Vec<Keeper>,
    /// How it differs from what the log says by the continuous count, if it does.
    pub difference: Option<String>,
}

/// A process that keeps slots of a read model.
#[derive(Debug, Clone, Serialize)]
pub struct Keeper {
    /// Where it runs.
    pub worker: String,
    /// How many slots.
    pub slots: i64,
}

/// How a making is doing.
#[derive(Debug, Clone, Serialize)]
pub struct Making {
    /// Which.
    pub generation: i64,
    /// `building` or `built`.
    pub state: String,
    /// Whether it is only made to be compared with the live one.
    pub is_to_verify: bool,
    /// Whether it rests.
    pub paused: bool,
    /// Whether anybody works on it.
    pub conducted: bool,
    /// Everything up to here is in it.
    pub position: Position,
    /// Where the log ended when it was looked at last.
    pub goal: Option<Position>,
    /// From 0 to 1.
    pub done: f64,
    /// Positions a second.
    pub rate: Option<f32>,
    /// How long it will take at this rate, in seconds.
    pub left_seconds: Option<f64>,
    /// When it was begun.
    pub begun_at: DateTime<Utc>,
    /// Why it does not go on.
    pub trouble: Option<String>,
}

/// How each of `projections` is doing.
///
/// # Errors
/// The database cannot be reached.
pub async fn overview(
    store: &EventStore,
    projections: &[&Projection],
) -> Result<Vec<Overview>, sqlx::Error> {
    let pool = store.pool();
    let head = store.head().await?;
    let mut all = Vec::with_capacity(projections.len());
    for projection in projections {
        let generations = generation::of(pool, &projection.model()).await?;
        let in_state =
            |states: &[State]| generations.iter().rfind(|known| states.contains(&known.state));
        let live = match in_state(&[State::Live]) {
            Some(generation) => Some(live(pool, projection, generation, head).await?),
            None => None,
        };
        let making = match in_state(&[State::Building, State::Built]) {
            Some(generation) => making(pool, generation).await?,
            None => None,
        };
        all.push(Overview {
            name: projection.name.to_owned(),
            version: projection.version,
            live,
            making,
            retired: in_state(&[State::Retired]).map(|retired| retired.id),
        });
    }
    Ok(all)
}

async fn live(
    pool: &PgPool,
    projection: &Projection,
    generation: &Generation,
    head: Position,
) -> Result<Live, sqlx::Error> {
    let types: Vec<_> = projection.reads.iter().map(|name| (*name).to_owned()).collect();
    let row = sqlx::query!(
        r#"
        SELECT bool_or(s.paused) AS "paused!", sum(s.parked)::bigint AS "parked!",
               (SELECT string_agg(d.difference, '; ' ORDER BY d.slot) FROM projections.digests AS d
                WHERE d.generation = $1) AS difference,
               first.position AS "first_position?",
               extract(epoch FROM clock_timestamp() - first.recorded_at)::float8 AS "waited?"
        FROM projections.slots AS s
        LEFT JOIN LATERAL (
            SELECT e.position, e.recorded_at FROM eventstore.events AS e
            WHERE e.position > $2 AND e.type = ANY ($3)
            ORDER BY e.position
            LIMIT 1
        ) AS first ON true
        WHERE s.generation = $1
        GROUP BY first.position, first.recorded_at
        "#,
        generation.id,
        generation.position.get(),
        &types,
    );
    let row = within(row.fetch_one(pool)).await?;
    let keepers = sqlx::query!(
        r#"
        SELECT w.name, count(*) AS "slots!"
        FROM projections.slots AS s
        JOIN projections.workers AS w ON w.id = s.owner AND w.expires_at > clock_timestamp()
        WHERE s.generation = $1
        GROUP BY w.id, w.name
        ORDER BY w.name
        "#,
        generation.id,
    );
    let keepers = within(keepers.fetch_all(pool)).await?.into_iter();
    Ok(Live {
        generation: generation.id,
        position: generation.position,
        behind_events: row.first_position.map_or(0, |first| (head.get() - first + 1).max(0)),
        behind_seconds: row.waited.unwrap_or_default().max(0.0),
        paused: row.paused,
        parked_keys: row.parked,
        keepers: keepers.map(|row| Keeper { worker: row.name, slots: row.slots }).collect(),
        difference: row.difference,
    })
}

async fn making(pool: &PgPool, generation: &Generation) -> Result<Option<Making>, sqlx::Error> {
    let progress = crate::rebuild::progress(pool, generation.id).await?;
    Ok(progress.map(|progress| Making {
        done: progress.done(),
        left_seconds: progress.left().as_ref().map(Duration::as_secs_f64),
        generation: progress.generation,
        state: progress.state,
        is_to_verify: progress.is_to_verify,
        paused: progress.paused,
        conducted: progress.conducted,
        position: progress.position,
        goal: progress.goal,
        rate: progress.rate,
        begun_at: generation.created_at,
        trouble: progress.trouble,
    }))
}
