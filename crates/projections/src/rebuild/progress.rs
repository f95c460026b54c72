//! How far the making of a read model has come.

use std::time::Duration;

use eventstore::Position;
use eventstore::answer::within;
use sqlx::PgPool;
use sqlx::types::Json;

use crate::comparison::Comparison;

/// How far a generation has come; whoever conducts it says so about twice a second.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The generation.
    pub generation: i64,
    /// `building`, `built`, `live` or `retired`.
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
    /// Positions a second.
    pub rate: Option<f32>,
    /// Why it does not go on.
    pub trouble: Option<String>,
    /// How it differed from the live one.
    pub comparison: Option<Comparison>,
}

impl Progress {
    /// How long it will take at this rate.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        let missing = self.goal?.get().saturating_sub(self.position.get()).max(0);
        let rate = self.rate.filter(|rate| *rate > 0.0)?;
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        Some(Duration::from_secs_f64(missing as f64 / f64::from(rate)))
    }

    /// How much of it is done, from 0 to 1.
    #[must_use]
    pub fn done(&self) -> f64 {
        match self.goal {
            #[expect(clippy::cast_precision_loss, reason = "for people")]
            Some(goal) if goal > Position::START => {
                (self.position.get() as f64 / goal.get() as f64).min(1.0)
            }
            // An empty log is taken in at once.
            Some(_) => 1.0,
            None => 0.0,
        }
    }
}

/// How far the generation `id` has come; `None` if it is not there any more.
///
/// # Errors
/// The database cannot be reached.
pub async fn progress(pool: &PgPool, id: i64) -> Result<Option<Progress>, sqlx::Error> {
    let row = sqlx::query!(
        r#"
        SELECT g.id, g.state, g.purpose, g.paused, g.goal, g.rate, g.trouble,
               g.comparison AS "comparison: Json<Comparison>",
               EXISTS (
                   SELECT 1 FROM projections.workers AS w
                   WHERE w.id = g.conductor AND w.expires_at > clock_timestamp()
               ) AS "conducted!",
               (SELECT min(s.position) FROM projections.slots AS s WHERE s.generation = g.id) AS position
        FROM projections.generations AS g
        WHERE g.id = $1
        "#,
        id,
    );
    let row = within(row.fetch_optional(pool)).await?;
    Ok(row.map(|row| Progress {
        generation: row.id,
        state: row.state,
        is_to_verify: row.purpose == "verify",
        paused: row.paused,
        conducted: row.conducted,
        position: Position::new(row.position.unwrap_or_default()),
        goal: row.goal.map(Position::new),
        rate: row.rate,
        trouble: row.trouble,
        comparison: row.comparison.map(|Json(comparison)| comparison),
    }))
}
