//! Makes a read model no faster than others can bear.
//!
//! Before it begins, and all the time after, a tiny query like those of live traffic is timed. When
//! the slow ones of the last half second take more times what they took before than is allowed, the
//! lanes rest for a larger part of the time; when not, for a smaller one.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use sqlx::PgPool;
use tokio::time::Instant;

/// How often is looked.
const EVERY: Duration = Duration::from_millis(10);

/// Looks from which one is concluded.
const LOOKS: usize = 50;

/// The lanes always work for this part of the time.
const LEAST: f64 = 0.02;

#[derive(Debug)]
pub(super) struct Throttle {
    /// The part of the time that lanes may work.
    share: Mutex<f64>,
}

impl Throttle {
    pub(super) const fn new() -> Self {
        Self { share: Mutex::new(1.0) }
    }

    /// How long a lane rests after it has worked for `worked`.
    pub(super) fn rest(&self, worked: Duration) -> Duration {
        let share = *self.share.lock().unwrap_or_else(PoisonError::into_inner);
        worked.mul_f64((1.0 / share.max(LEAST)) - 1.0).min(Duration::from_secs(2))
    }

    /// Looks for ever, and adapts to `slowdown`. `usual` is what [`usual`] found before.
    pub(super) async fn adapt(&self, pool: &PgPool, usual: Duration, slowdown: f64) {
        loop {
            let Ok(now) = slow_one(pool).await else {
                tokio::time::sleep(EVERY).await;
                continue;
            };
            let mut share = self.share.lock().unwrap_or_else(PoisonError::into_inner);
            *share = if now > usual.mul_f64(slowdown) {
                (*share * 0.7).max(LEAST)
            } else {
                (*share + 0.05).min(1.0)
            };
        }
    }
}

/// How long the slow ones of some looks take while nothing is made.
pub(super) async fn usual(pool: &PgPool) -> Result<Duration, sqlx::Error> {
    // Below this a machine is only ever noise.
    Ok(slow_one(pool).await?.max(Duration::from_micros(300)))
}

/// The tenth slowest of a hundred.
async fn slow_one(pool: &PgPool) -> Result<Duration, sqlx::Error> {
    let mut looks = Vec::with_capacity(LOOKS);
    for _ in 0..LOOKS {
        let begun = Instant::now();
        sqlx::query_scalar!("SELECT max(epoch) FROM projections.slots").fetch_one(pool).await?;
        looks.push(begun.elapsed());
        tokio::time::sleep(EVERY).await;
    }
    looks.sort_unstable();
    Ok(looks.get(LOOKS * 9 / 10).copied().unwrap_or_default())
}
